import DiffuseVAE
import Formats
import Neural

extension Extractor {
  /// The state of a training after an update.
  public struct Report: Sendable {
    public let step, total, batch: Int
    /// Mean of -ln p(label | image) over the batch, in nats.
    public let loss: Double
  }

  private static let largestBatch = 128
  /// Slices of a batch; fixed, since results depend on it in their last bits.
  private static let lanes = 8

  /// Trains an extractor on the labels of a data set.
  ///
  /// The classes are 0 to the largest label. The same data and seed give the same bits, with any
  /// number of threads.
  ///
  /// - Parameters:
  ///   - steps: updates of the weights; nil: four passes over the images, but 300 to 1500 updates.
  ///   - progress: is called after every update.
  /// - Throws: ``UserError`` when the set has no labels or a single class only, needs more memory
  ///   than there is, or the training diverges.
  public static func fit(
    on data: Dataset, seed: UInt64 = 0, steps: Int? = nil, threads: Int,
    progress: (Report) -> Void = { _ in }
  ) throws -> Extractor {
    let labels = try labels(of: data)
    let classes = Int(labels.max() ?? 0) + 1
    let batch = min(largestBatch, data.training.count)
    let atOnce = min(batch, (batch + lanes - 1) / lanes * threads)
    try checkMemory(
      bytes: bytes(data.shape, classes: classes, images: atOnce, lanes: lanes),
      "training the extractor on \(data.name)")
    let steps = max(1, steps ?? min(1500, max(300, 4 * data.training.count / batch)))
    let settings = StageSettings(
      steps: steps, batch: batch, rate: 2e-3, warmup: min(100, steps / 4), ema: 0.995)
    let map = MapShape(height: data.shape.height, width: data.shape.width)
    var trainer = try Trainer(
      ClassifierObjective(map: map, labels: labels),
      Classifier(shape: data.shape, classes: classes, seed: seed), examples: data.training,
      settings: settings, lanes: lanes, seed: seed, threads: threads)
    while !trainer.isFinished {
      let report = try trainer.advance()
      progress(
        Report(
          step: trainer.step, total: trainer.totalSteps, batch: batch, loss: report.terms[0]))
    }

    let origin = Origin(
      data: data.name, fingerprint: data.fingerprint(), classes: classes, seed: seed,
      accuracy: 0, isHeldOut: data.test?.labels != nil)
    var extractor = Extractor(trainer.network.averaged, shape: data.shape, origin: origin)
    let images = origin.isHeldOut ? data.test ?? data.training : data.training
    let accuracy = try extractor.accuracy(
      on: images, labels: data.test?.labels ?? labels, threads: threads)
    extractor.origin?.accuracy = accuracy
    return extractor
  }

  private static func labels(of data: Dataset) throws -> [UInt8] {
    guard let labels = data.training.labels else {
      throw UserError(
        """
        \(data.name): has no labels to train an extractor on; expected train-labels-idx1-ubyte (plain or \
        .gz) or train-labels.npy beside its images, or a folder of PNG files for each class
        """)
    }
    guard Set(labels).count >= 2 else {
      throw UserError(
        "\(data.name): all labels are \(labels.first ?? 0); an extractor needs two classes or more")
    }
    return labels
  }

  /// The share of images whose label is the likeliest class.
  func accuracy(on images: ByteImages, labels: [UInt8], threads: Int) throws -> Double {
    guard let p = try outputs(of: images, threads: threads).probabilities else { return 0 }
    return labelAgreement(probabilities: p, labels: labels)
  }
}
