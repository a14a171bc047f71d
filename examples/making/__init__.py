"""Writers that turn the manuscripts into the files of the sample knowledge base."""
