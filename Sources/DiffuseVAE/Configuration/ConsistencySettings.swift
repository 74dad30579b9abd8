/// Whether a consistency model is made of the second stage, for sampling in one or a few steps.
public struct ConsistencySettings: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    case none

    /// Along the paths that the second stage's network takes (Song et al. 2023, algorithm 2).
    case distillation

    /// Along those that the noise of the training images shows (algorithm 3).
    case training
  }

  /// How it learns. Either way it starts from the second stage's weights.
  public var kind = Kind.none

  /// Levels of noise between whose neighbours it is made to agree: In 2...1000, and at most the
  /// steps of the process.
  public var levels = 25
}

extension ConsistencySettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "kind", \.kind, .choice,
        "whether a consistency model is made of the second stage, by its paths or by images"),
      Field(
        "levels", \.levels, .integer(in: 2...1000),
        "levels of noise between whose neighbours it is made to agree"),
    ]
  }
}
