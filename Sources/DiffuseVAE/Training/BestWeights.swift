import Formats
import Neural

/// The averaged weights of the least loss on the validation images, as long as their stage is trained.
extension Training {
  private static let (stepKey, lossKey) = ("step", "validation_loss")

  /// The least loss of a stage so far; infinite where none was found.
  func leastLoss(of stage: Stage) throws -> Double {
    let path = run.bestFile(stage)
    guard run.has(path) else { return .infinity }
    return try origin(of: best(path), path).loss
  }

  /// Keeps weights in place of others of a larger loss.
  ///
  /// - Throws: ``Divergence`` for weights that are not finite; the others are then still there.
  func keep(_ averaged: some Parameterized, _ stage: Stage, loss: Double, step: Int) throws {
    let metadata = [Self.stepKey: String(step), Self.lossKey: loss.description]
    let file = Weights.file(of: averaged, metadata: metadata)
    try check(finite: file, step: step)
    try file.write(to: run.bestFile(stage))
  }

  /// Puts the weights of the least loss in the place of the last ones, where any were kept.
  ///
  /// - Returns: after which step they were.
  func takeBest<Network: Parameterized>(_ averaged: inout Network, _ stage: Stage) throws -> Int? {
    let path = run.bestFile(stage)
    guard run.has(path) else { return nil }
    let file = try best(path)
    let (step, loss) = try origin(of: file, path)
    try Weights.decode(file, into: &averaged, path: path)
    logger.info(
      """
      \(configuration.title(of: stage)): the weights after step \(step) are kept, whose loss on the \
      validation images is the least, \(loss.digits(5))
      """)
    return step
  }

  private func best(_ path: String) throws -> SafeTensors {
    do {
      return try SafeTensors.read(path)
    } catch let error as FormatError {
      throw FormatError(file: path, problem: "\(error.problem); \(Self.remedy)")
    }
  }

  private static let remedy =
    "remove it to go on without: then the best of what follows is kept"

  private func origin(of file: SafeTensors, _ path: String) throws -> (step: Int, loss: Double) {
    guard let step = file.metadata[Self.stepKey].flatMap({ Int($0) }), step > 0,
      let loss = file.metadata[Self.lossKey].flatMap({ Double($0) }), loss.isFinite
    else {
      throw FormatError(
        file: path,
        problem: "does not say of which step, and of which validation loss, it is; \(Self.remedy)")
    }
    return (step, loss)
  }
}
