import ArgumentParser
import DiffuseVAE
import Diffusion

// What can be chosen, and what it is, as --help and the manual pages say it.

extension PriorSettings.Kind: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    [
      "mixture": "Gaussians, fitted to the training images' latents",
      "diffusion": "a diffusion model of these latents",
      "normal": "N(0, I)",
    ]
  }
}

extension SamplingSettings.Sampler: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    [
      "ddim": "deterministic, or with --eta of fresh noise",
      "ddpm": "ancestral sampling, the chain itself",
      "euler": "first order, with --churn",
      "heun": "second order, with --churn",
      "dpm++2s": "DPM-Solver++, second order, single steps",
      "dpm++2m": "DPM-Solver++, second order, of several steps",
      "dpm++3m": "DPM-Solver++, third order, of several steps",
      "dpm++2m-sde": "the same of second order for the reverse SDE",
      "unipc": "a predictor and a corrector of several steps",
      "plms": "DDIM by the last four estimates",
      "sde": "Euler and Maruyama's steps of the reverse SDE",
      "pc": "a --predictor, and --corrections by Langevin's dynamics",
      "langevin": "annealed Langevin dynamics alone",
      "rk45": "Dormand and Prince's steps, as --tolerance wants them",
      "consistency": "the run's consistency model, in few steps",
    ]
  }
}

extension ReverseVariance: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    [
      "small": "that of data of a single point",
      "large": "that of data N(0, I)",
      "analytic": "what the denoiser's errors on training images ask for",
      "learned": "what the network chooses, with diffusion.learn_variance",
    ]
  }
}

extension Predictor: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    ["ancestral": "that of ddpm", "reverse": "the forward process' own step, reversed"]
  }
}

extension Spacing: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    [
      "uniform": "in equal distances", "quadratic": "the denser the less noise there is",
      "edm": "equal distances of the seventh root of noise over signal",
    ]
  }
}
