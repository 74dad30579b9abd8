import DiffuseVAE
import Formats
import Logging
import Neural

/// What `diffusevae-evaluate` does with one data set.
public struct EvaluationSession {
  let data: Dataset
  let seed: UInt64
  let threads: Int
  let logger: Logger

  public init(_ data: Dataset, seed: UInt64, threads: Int, logger: Logger) {
    (self.data, self.seed, self.threads, self.logger) = (data, seed, threads, logger)
  }

  /// Images of each row: as many as there are test images, so that these are a floor to the rest;
  /// 10 000 if there are none.
  public var count: Int { data.test?.count ?? 10_000 }

  /// The extractor to compare by: the stored one, random features if there is none.
  ///
  /// - Parameters:
  ///   - folder: of all extractors.
  ///   - fit: to train and store one where there is none.
  /// - Throws: ``UserError`` when one is to be trained and there are no labels.
  public func extractor(in folder: String, fit: Bool) throws -> Extractor {
    let stored = try Extractor.load(for: data, in: folder)
    if let stored {
      logger.info("\(Extractor.path(for: data, in: folder)): \(stored)")
      return stored
    }
    guard fit else {
      let hint =
        data.trainingLabels == nil
        ? "\(data.name) has no labels" : "train a classifier of \(data.name) with --fit"
      logger.warning("features are random and say little; \(hint)")
      return try .random(shape: data.shape)
    }
    var progress = Progress(firstStep: 0)
    let extractor = try Extractor.fit(on: data, seed: 0, threads: threads) { report in
      progress.show(step: report.step, total: report.total, batch: report.batch) {
        "classifier  step \(report.step)/\(report.total)  loss \(report.loss.digits(4))"
      }
    }
    progress.pause()
    let path = try extractor.save(in: folder)
    logger.info("\(path): \(extractor)")
    return extractor
  }

  /// Measures everything that is asked for, and shows the table line by line.
  ///
  /// - Parameters:
  ///   - run: to measure; nil for `samples` that are of none.
  ///   - samples: a file or folder of images to score instead of what the run makes.
  ///   - folder: to write the report to; nil to write nothing.
  ///   - show: takes lines of the table.
  public func evaluate(
    _ run: Run?, samples: String?, by extractor: Extractor, _ request: EvaluationRequest,
    folder: String?, show: (String) -> Void
  ) throws {
    let given = try samples.map { try ByteImages(samples: $0, shape: data.shape) }
    // A model of other images, or mistakes in the request, before anything is computed.
    let runToDraw = samples == nil ? run : nil
    try runToDraw.map { try request.check($0, data) }
    let most = max(request.count, given?.count ?? 0)
    let reference = try Reference(
      data, extractor: extractor, count: most, seed: seed, threads: threads)
    let elbo = try runToDraw.flatMap(lowerBound)
    var report = EvaluationReport(run: runToDraw?.name, reference, data: data, elbo: elbo)
    logger.info("\(report.sentences)")
    show(EvaluationReport.heading)
    func add(_ row: EvaluationRow, _ images: ByteImages) throws {
      show(row.line)
      try report.add(row, images, in: folder)
    }
    if let test = data.test?.first(given?.count ?? request.count) {
      try add(reference.row("test images", test), test)
    }
    if let given, let samples {
      try add(reference.row(samples, given), given)
    } else if let run {
      try reference.rows(of: run, request, test: data.test, each: add)
    }
  }

  /// Of the test images by the VAE of a run; nil without either.
  private func lowerBound(_ run: Run) throws -> EvidenceLowerBound? {
    guard let test = data.test, try run.configuration().hasVAE else { return nil }
    let model = try Model(of: run, needsDenoiser: false, prior: .normal)
    return try model.evidenceLowerBound(of: test, threads: threads)
  }
}
