"""The quantizing autoencoders: network, codebooks, gradients, training; one idea a file."""
