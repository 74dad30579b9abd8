/// Numbers that are not finite, in place of which there is no update.
public struct Divergence: Error, CustomStringConvertible {
  /// Updates made before.
  let step: Int
  /// What is not finite.
  let what: String
  /// The examples that it was found with; none where it is the weights.
  let examples: [Int]

  /// Without another batch these weights come to nothing.
  var isOfWeights: Bool { examples.isEmpty }

  public var description: String {
    let some = examples.prefix(5).map(String.init).joined(separator: ", ")
    let others = examples.count > 5 ? ", …" : ""
    return "training diverged at step \(step): \(what)"
      + (isOfWeights ? "" : ", for a batch of the images \(some)\(others)")
  }

  /// What the user may do.
  var error: UserError {
    UserError(
      "\(self). A lower rate, or a smaller clip, may do better in a new run; this one may go on with "
        + "training.on_nonfinite skip or rollback in its config.yaml")
  }
}
