import Neural

/// Where the latents z of new images come from. Of no use to formulation `none`.
public struct PriorSettings: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    /// A mixture of Gaussians, fitted to the active latents of the training images (the paper's
    /// Ex-PDE).
    case mixture

    /// A diffusion model of the active latents.
    case diffusion

    /// N(0, I).
    case normal
  }

  /// What z is drawn from.
  public var kind = Kind.mixture

  /// Of `mixture`: Gaussians, In 1...1000, and at most a tenth of the latents. If there are several
  /// numbers, that with the least BIC is taken.
  public var components = [50]

  /// Of `mixture`: their shape.
  public var covariance = GaussianMixture.Covariance.full

  /// Of `mixture`: latents that it is fitted to, one an image: In 10...1000000000. Nil for all
  /// images.
  public var samples: Int?

  /// Of `diffusion`: width of the network's hidden layers: In 1...65536.
  public var width = 256

  /// Of `diffusion`: number of residual blocks: In 1...256.
  public var blocks = 4

  /// Of `diffusion`: evaluations of the network for one z: In 1...1000.
  public var steps = 50
}

extension PriorSettings {
  /// Whether a prior that was made under other settings is the one that these ask for: what is of
  /// another kind only does not matter, nor how it is sampled.
  func isTrained(like other: PriorSettings) -> Bool {
    guard kind == other.kind else { return false }
    switch kind {
    case .normal: return true
    case .mixture:
      return components == other.components && covariance == other.covariance
        && samples == other.samples
    case .diffusion: return width == other.width && blocks == other.blocks
    }
  }
}

extension PriorSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field("kind", \.kind, .choice, "what z is drawn from; normal is N(0, I)"),
      Field(
        "components", \.components, .oneOrMore(of: .integer(in: 1...1000), atMost: 16),
        "of `mixture`: Gaussians, of the active latents; at most a tenth of the latents it is "
          + "fitted to; of several numbers the one with the least BIC is taken"),
      Field(
        "covariance", \.covariance, .choice, "of `mixture`: their shape, any or along the axes"),
      Field(
        "samples", \.samples, .optional(.integer(in: 10...1_000_000_000)),
        "of `mixture`: training images whose active latents it is fitted to; null: all"),
      Field(
        "width", \.width, .integer(in: 1...65536),
        "of `diffusion`, of the active latents: width of the network's hidden layers"),
      Field("blocks", \.blocks, .integer(in: 1...256), "of `diffusion`: number of residual blocks"),
      Field(
        "steps", \.steps, .integer(in: 1...1000),
        "of `diffusion`: evaluations of the network for one z"),
    ]
  }
}
