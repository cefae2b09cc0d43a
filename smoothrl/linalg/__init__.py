"""Linear algebra of networks: spectral norms of layers, Hessian-vector products, eigenvalues."""
