"""From two folders of images to an adapted network, in one command."""
