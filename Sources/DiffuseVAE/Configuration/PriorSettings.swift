import Neural

/// Where the latents z of new images come from. Of no use to formulation `none`.
public struct PriorSettings: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    /// A mixture of Gaussians, fitted to the latents of the training images (the paper's Ex-PDE).
    case mixture

    /// N(0, I).
    case normal
  }

  /// What z is drawn from.
  public var kind = Kind.mixture

  /// Gaussians in the mixture: In 1...1000, and at most a tenth of the latents.
  public var components = 50

  /// Their shape.
  public var covariance = GaussianMixture.Covariance.full

  /// Latents that the mixture is fitted to, one an image: In 10...1000000000. Nil for all images.
  public var samples: Int?
}

extension PriorSettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field("kind", \.kind, .choice, "what z is drawn from; normal is N(0, I)"),
      Field(
        "components", \.components, .integer(in: 1...1000),
        "Gaussians in the mixture; at most a tenth of the latents it is fitted to"),
      Field("covariance", \.covariance, .choice, "their shape: any, or along the axes"),
      Field(
        "samples", \.samples, .optional(.integer(in: 10...1_000_000_000)),
        "training images whose latents the mixture is fitted to; null: all"),
    ]
  }
}
