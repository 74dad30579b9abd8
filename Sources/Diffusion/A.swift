public enum Diffusion0 {}
