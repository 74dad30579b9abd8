/// Whether a consistency model is made of the second stage, for sampling in one or a few steps.
public struct ConsistencySettings: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    case none

    /// Where the paths end that the second stage's network takes.
    case distillation

    /// Along those that the noise of the training images shows (Song et al. 2023, algorithm 3), of a
    /// network that predicts v: its estimate of an image without noise is the image, whatever the
    /// weights, and at all levels bounded. Of one that predicts x0 nothing but the last level says so,
    /// and in a test all levels came to agree on one number instead.
    case training
  }

  /// How it learns. Either way it starts from the second stage's weights.
  public var kind = Kind.none

  /// Levels of noise that it learns, and steps of a path from the first of them: In 2...1000, and at
  /// most the steps of the process.
  public var levels = 8
}

extension ConsistencySettings: SettingsBlock {
  static var fields: [Field<Self>] {
    [
      Field(
        "kind", \.kind, .choice,
        "whether a consistency model is made of the second stage, by its paths or by images"),
      Field(
        "levels", \.levels, .integer(in: 2...1000),
        "levels of noise that it learns; of its paths the steps"),
    ]
  }
}
