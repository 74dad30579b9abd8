import DiffuseVAE
import Neural

extension Matrix {
  /// - Throws: ``UserError`` unless there are `rows` rows at least, of one number at least, all
  ///   finite.
  func checkFeatures(atLeast rows: Int, for measure: String) throws(UserError) {
    guard self.rows >= rows, columns > 0 else {
      throw UserError(
        "\(measure) takes \(rows) images or more, of one feature or more, "
          + "not \(self.rows) images of \(columns)")
    }
    guard isFinite else { throw UserError("\(measure) takes features that are all finite") }
  }
}

/// - Throws: ``UserError`` unless both sets are of one width.
func checkWidths(_ a: Int, _ b: Int, for measure: String) throws(UserError) {
  guard a == b else {
    throw UserError("\(measure) compares images by the same features, not by \(a) and \(b)")
  }
}
