import Neural

/// The first stage: `q(z|x0)` and the decoder that gives x̂0.
public struct VAESettings: Equatable, Sendable {
  /// Of pixels in [0, 1].
  public enum Likelihood: String, CaseIterable, Sendable {
    case bernoulli, gaussian
  }

  /// What stage one sees of a grey image.
  public enum Binarisation: String, CaseIterable, Codable, Sendable {
    /// The image as it is.
    case none

    /// A draw of black or white for every pixel, white with the probability that is its grey level:
    /// one for each image, the same in every epoch.
    case `static`

    /// A fresh one at every update. Held-out images have one that is fixed.
    case dynamic
  }

  /// What stage one maximises.
  public enum Bound: String, CaseIterable, Sendable {
    /// The evidence lower bound.
    case elbo

    /// The importance-weighted bound (Burda et al. 2016), which of one sample is the same.
    case iwae
  }

  /// Widths of the encoder's hidden layers, mirrored in the decoder: at most 16, In 1...65536.
  public var hidden = [1024, 1024]

  /// What stands between the linear layers.
  public var activation = Activation.silu

  /// Dimensions of z: In 1...65536.
  public var latent = 32

  /// Of a pixel, given z.
  public var likelihood = Likelihood.bernoulli

  /// Weight of the KL divergence against the likelihood: In 0...1000.
  public var beta = 1.0

  /// Whether stage one sees images in black and white, drawn by their grey levels.
  public var binarise = Binarisation.none

  /// Updates over which β rises linearly from 0: In 0...1000000000.
  public var betaWarmup = 0

  /// λ, nats that every latent of every image may have for nothing (Kingma et al. 2016, "Improved
  /// Variational Inference with Inverse Autoregressive Flow"): its divergence counts as λ where it is
  /// less. (The paper takes the mean over a minibatch first; an image here does not depend on its
  /// company, nor on lanes.) In 0...1000.
  public var freeBits = 0.0

  /// k, draws of z for an image in each update: In 1...1000.
  public var samples = 1

  /// What stage one maximises: of `elbo` the mean over the samples.
  public var objective = Bound.elbo

  /// Classes of images whose label encoder and decoder see: In 0...256; 0 for none. z then need not
  /// tell it.
  public var classes = 0

  /// Dimensions of the levels of latents above z, from z2 up: at most 8, In 1...65536. None is the
  /// plain VAE.
  public var upperLatents: [Int] = []

  /// Widths of the hidden layers between one level and the next, mirrored on the way down: at most
  /// 16, In 1...65536.
  public var upperHidden = [100, 100]
}

extension VAESettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "hidden", \.hidden, .list(of: .integer(in: 1...65536), count: 0...16),
        "widths of the encoder's hidden layers, mirrored in the decoder"),
      Field("activation", \.activation, .choice, "what stands between the linear layers"),
      Field("latent", \.latent, .integer(in: 1...65536), "dimensions of z"),
      Field("likelihood", \.likelihood, .choice, "of a pixel, given z"),
      Field(
        "beta", \.beta, .number(in: 0...1000),
        "weight of the KL divergence against the likelihood"),
      Field(
        "binarise", \.binarise, .choice,
        "of `bernoulli`: whether stage one sees every pixel as a draw, 0 or 1, of its grey level; "
          + "`static` is one draw for each image, `dynamic` a fresh one at every update; held-out "
          + "images always have one"),
      Field(
        "beta_warmup", \.betaWarmup, .integer(in: 0...1_000_000_000),
        "updates over which β rises linearly from 0"),
      Field(
        "free_bits", \.freeBits, .number(in: 0...1000),
        "nats that the divergence of each latent of an image counts at least, and below which "
          + "nothing pulls at it"),
      Field(
        "samples", \.samples, .integer(in: 1...1000), "k, draws of z for an image in an update"),
      Field(
        "objective", \.objective, .choice,
        "the lower bound that is maximised: the ELBO, a mean over the samples, or the "
          + "importance-weighted bound of all k"),
      Field(
        "classes", \.classes, .integer(in: 0...256),
        "classes of images whose label encoder and decoder see; 0: they see none"),
      Field(
        "upper_latents", \.upperLatents, .list(of: .integer(in: 1...65536), count: 0...8),
        "dimensions of z2, z3, …, the levels of latents above z, which then is z1"),
      Field(
        "upper_hidden", \.upperHidden, .list(of: .integer(in: 1...65536), count: 0...16),
        "widths of the hidden layers between one level and the next, mirrored on the way down"),
    ]
  }
}

extension VAESettings {
  /// Dimensions of every two levels of latents that follow one another.
  var levels: [(below: Int, above: Int)] {
    Array(zip([latent] + upperLatents, upperLatents)).map { ($0.0, $0.1) }
  }
}
