import DiffuseVAE
