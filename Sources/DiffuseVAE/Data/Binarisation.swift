import Neural

extension VAESettings.Binarisation {
  /// What stage one sees of a slice of images: `[rows, pixels]`, each number 0 or 1 unless this is
  /// `none`.
  func images(of slice: Slice) -> Matrix {
    switch self {
    case .none: return slice.examples
    case .static, .dynamic:
      guard slice.isTraining else { return drawn(heldOut: slice.examples, slice.indices) }
      let isFresh = self == .dynamic
      // The step of a draw that stays is the first one's.
      let stream = RandomStream(
        seed: slice.seed, purpose: .binarisation, step: isFresh ? slice.step : 0)
      let rows = isFresh ? Array(slice.rows) : slice.indices
      return slice.examples.binarised(
        by: stream.uniform(rows: rows, columns: slice.examples.columns))
    }
  }

  /// Held-out images, by their numbers in their set: the same draw in every run, so that figures
  /// compare.
  func drawn(heldOut images: Matrix, _ indices: [Int]) -> Matrix {
    guard self != .none else { return images }
    let stream = RandomStream(seed: 0, purpose: .binarisation, step: -1)
    return images.binarised(by: stream.uniform(rows: indices, columns: images.columns))
  }

  /// What to add to "images" where a likelihood is told.
  public var remark: String {
    switch self {
    case .none: ""
    case .static: " (statically binarised)"
    case .dynamic: " (dynamically binarised; held-out ones by one draw)"
    }
  }
}
