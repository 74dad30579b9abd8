import DiffuseVAE
import Formats
import Logging
import Neural

/// What is compared with the training images.
public enum EvaluationSubject {
  /// Everything that a run can make.
  case run(Run)
  /// Images that are there, and where they are from.
  case images(String, ByteImages)
}

/// What `diffusevae-evaluate` does with one data set.
public struct EvaluationSession {
  let data: Dataset
  let extractors: String
  let fit: Bool
  let threads: Int
  let logger: Logger

  /// - Parameters:
  ///   - extractors: folder of all extractors.
  ///   - fit: whether to train and store one where there is none.
  public init(_ data: Dataset, extractors: String, fit: Bool, threads: Int, logger: Logger) {
    (self.data, self.extractors, self.fit) = (data, extractors, fit)
    (self.threads, self.logger) = (threads, logger)
  }

  /// Held-out images, if there are enough of them to be scored.
  private var test: ByteImages? {
    data.test.flatMap { Reference.counts.contains($0.count) ? $0 : nil }
  }

  /// What is meant by the path of some images, or else a run; nil for neither.
  ///
  /// - Throws: ``UserError`` or `FormatError` for a path of anything but images of the set's size.
  public func subject(_ run: Run?, samples: String?) throws -> EvaluationSubject? {
    guard let samples else { return run.map { .run($0) } }
    return .images(
      samples,
      try ByteImages(files: samples, shape: data.shape, counts: Reference.counts))
  }

  /// Images of each row, if not said otherwise: as many as there are test images, which show
  /// what unseen real images score, or 10 000 if there are none.
  public func count(of subject: EvaluationSubject) -> Int {
    if case .images(_, let images) = subject { return images.count }
    return test?.count ?? 10_000
  }

  /// The extractor to compare by: the stored one, random features if there is none.
  ///
  /// - Throws: ``UserError`` when one is to be trained and there are no labels.
  @discardableResult public func extractor() throws -> Extractor {
    let path = Extractor.path(for: data, in: extractors)
    if let stored = try Extractor.load(for: data, in: extractors) {
      logger.info("\(path): \(stored)")
      return stored
    }
    guard fit else {
      let hint =
        data.training.labels == nil
        ? "\(data.name) has no labels" : "train a classifier of \(data.name) with --fit"
      logger.warning("features are random and say little; \(hint)")
      return try .random(shape: data.shape)
    }
    // Before the work, not after it.
    try makeFolder(extractors)
    var progress = Progress(firstStep: 0)
    let extractor = try Extractor.fit(on: data, seed: 0, threads: threads) { report in
      progress.show(step: report.step, total: report.total, batch: report.batch) {
        "classifier  step \(report.step)/\(report.total)  loss \(report.loss.digits(4))"
      }
    }
    progress.pause()
    try extractor.save(in: extractors)
    logger.info("\(path): \(extractor)")
    return extractor
  }

  /// Measures everything that is asked for, and shows the table line by line.
  ///
  /// - Parameters:
  ///   - folder: to write the report to; nil to write nothing.
  ///   - show: takes lines of the table.
  public func evaluate(
    _ subject: EvaluationSubject, _ request: EvaluationRequest, folder: String?,
    show: (String) throws -> Void
  ) throws {
    // A model of other images, or mistakes in the request, before anything is computed.
    if case .run(let run) = subject { try request.check(run, data) }
    if let folder { try makeFolder(folder) }
    let reference = try Reference(
      data, extractor: extractor(), count: request.count, seed: request.options.seed,
      threads: threads)
    guard request.paths == nil || reference.extractor.origin != nil else {
      throw UserError(
        "--paths takes a classifier to say what becomes of classes: train one with --fit")
    }
    guard request.edits.isEmpty || reference.extractor.origin != nil && test != nil else {
      throw UserError(
        "--edits takes test images and a classifier to say what becomes of them: train one with --fit"
      )
    }
    if let few = data.test?.count, test == nil {
      logger.warning("\(data.name) has \(few) test images, too few to be scored; they are left out")
    }
    var report = try EvaluationReport(
      run: subject.run?.name, reference, data: data,
      sampling: request.refines ? subject.run.map { _ in request.options } : nil,
      elbo: subject.run.flatMap(lowerBound),
      importance: subject.run.flatMap { try importance($0, request) },
      likelihood: subject.run.flatMap { try likelihood($0, request) })
    logger.info("\(report.sentences)")
    if let likelihood = report.likelihood {
      for line in [LikelihoodReport.heading] + likelihood.lines { try show(line) }
    }
    try show(EvaluationReport.heading)
    func add(_ row: EvaluationRow, _ images: ByteImages) throws {
      try show(row.line)
      try report.add(row, images, in: folder)
    }
    let test = test?.taking(request.count)
    if let test {
      try add(reference.row("test images", test), test)
    }
    switch subject {
    case .run(let run): try reference.rows(of: run, request, test: test, each: add)
    case .images(let name, let images): try add(reference.row(name, images), images)
    }
    if let folder { logger.info("written to \(folder)") }
  }

  /// Of test images under a run; nil if it is not asked for.
  private func likelihood(
    _ run: Run, _ request: EvaluationRequest
  ) throws -> LikelihoodReport? {
    guard let likelihood = request.likelihood else { return nil }
    var progress = Progress(firstStep: 0)
    let report = try likelihood.report(run, on: data, prior: request.priors.first) { done, total in
      progress.show(step: done, total: total, batch: 1) { "likelihood  image \(done)/\(total)" }
    }
    progress.pause()
    return report
  }

  /// Of the test images by the VAE of a run; nil without either.
  private func lowerBound(_ run: Run) throws -> EvidenceLowerBound? {
    guard let test = data.test, try run.configuration().hasVAE else { return nil }
    let model = try Model(of: run, needsDenoiser: false, prior: .normal)
    return try model.evidenceLowerBound(of: test, threads: threads)
  }

  /// The likelihood of the test images by the VAE of a run; nil if nobody asks for it.
  private func importance(
    _ run: Run, _ request: EvaluationRequest
  ) throws -> ImportanceEstimate? {
    guard let samples = request.importance, let test = data.test else { return nil }
    let model = try Model(of: run, needsDenoiser: false, prior: .normal)
    var progress = Progress(firstStep: 0)
    return try model.importanceEstimate(
      of: test, samples: samples, seed: request.options.seed, threads: threads
    ) { done in
      progress.show(step: done, total: test.count, batch: 1) {
        "likelihood  image \(done)/\(test.count)"
      }
    }
  }
}

extension EvaluationSubject {
  fileprivate var run: Run? {
    if case .run(let run) = self { return run }
    return nil
  }
}
