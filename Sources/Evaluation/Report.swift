import DiffuseVAE
import Formats
import Foundation
import Neural

/// Everything that an evaluation found, as files and as text.
public struct EvaluationReport: Codable, Equatable, Sendable {
  /// How new images are drawn, besides the number of steps.
  public struct Sampling: Codable, Equatable, Sendable {
    public let sampler: String
    /// Of `ddim`; nil for others, as all that follow.
    public let eta: Double?
    /// Of `ddpm`.
    public let variance: String?
    /// Of `euler` and `heun`.
    public let churn: Double?
    /// Of `pc`; `corrections` of `langevin`, too.
    public let predictor: String?
    public let corrections: Int?
    public let snr: Double?
    /// Of `langevin`.
    public let stepSize: Double?
    /// Of `rk45`.
    public let tolerance: Double?
    /// Of all but `rk45`.
    public let spacing: String?
    /// Nil for none.
    public let guidance: Double?
    /// Where it guides; nil for everywhere.
    public let guidanceInterval: [Double]?
    /// What x̂0 suffers before it is refined; nil for nothing.
    public let corruption: String?

    init(_ options: SamplingOptions) {
      func own<Value>(_ name: String, _ value: Value) -> Value? {
        let samplers = SamplingSettings.special.first { $0.name == name }?.samplers ?? []
        return samplers.contains(options.sampler) ? value : nil
      }
      sampler = options.sampler.rawValue
      eta = own("eta", options.eta)
      variance = own("variance", options.variance.rawValue)
      churn = own("churn", options.churn)
      predictor = own("predictor", options.predictor.rawValue)
      corrections = own("corrections", options.corrections)
      snr = own("snr", options.snr)
      stepSize = own("step_size", options.stepSize)
      tolerance = own("tolerance", options.tolerance)
      spacing = options.sampler.countsSteps ? options.spacing.rawValue : nil
      let interval = [options.guidanceFrom, options.guidanceTo]
      guidance = options.guidanceWeight == 0 ? nil : options.guidanceWeight
      guidanceInterval = guidance == nil || interval == [0, 1] ? nil : interval
      corruption = options.corruption?.description
    }

    /// Each setting and its value.
    var words: String {
      let settings: [(String, Any?)] = [
        ("eta", eta), ("variance", variance), ("churn", churn), ("predictor", predictor),
        ("corrections", corrections), ("snr", snr), ("step size", stepSize),
        ("tolerance", tolerance), ("spacing", spacing),
        ("guidance", guidance), ("within", guidanceInterval.map { "\($0[0])…\($0[1])" }),
        ("x̂0 damaged by", corruption),
      ]
      let given = settings.compactMap { name, value in value.map { "\(name) \($0)" } }
      return ([sampler] + given).joined(separator: ", ")
    }
  }

  /// The run's name; nil for images that are of none.
  public let run: String?
  public let data: String
  /// What the features are.
  public let extractor: String
  /// Of what the extractor was trained on, see `Dataset.fingerprint`; nil for random features.
  public let fingerprint: String?
  /// The extractor's share of right answers; nil for random features.
  public let accuracy: Double?
  /// Training images of the kernel distance, precision and recall; Fréchet distances are from all.
  public let references: Int
  public let seed: UInt64
  /// Nil for images that are of no run.
  public let sampling: Sampling?
  /// What the times are by. Nothing else depends on it.
  public let threads: Int
  /// Of the test images by the VAE; nil without either.
  public let elbo: EvidenceLowerBound?
  /// Of the test images by the VAE, if it was asked for.
  public let importance: ImportanceEstimate?
  /// Of test images; nil unless asked for.
  public let likelihood: LikelihoodReport?
  public private(set) var rows: [EvaluationRow] = []

  public init(
    run: String?, _ reference: Reference, data: Dataset, sampling: SamplingOptions?,
    elbo: EvidenceLowerBound?, importance: ImportanceEstimate? = nil,
    likelihood: LikelihoodReport? = nil
  ) {
    self.run = run
    self.data = "\(data.training.count) training images of \(data.name)"
    extractor = "\(reference.extractor)"
    fingerprint = reference.extractor.origin?.fingerprint
    accuracy = reference.extractor.accuracy
    references = reference.features.rows
    seed = reference.seed
    self.sampling = sampling.map { Sampling($0) }
    threads = reference.threads
    self.elbo = elbo
    self.importance = importance
    self.likelihood = likelihood
  }

  /// Adds a row, and writes the report as it now is, with a sheet of the row's first images.
  ///
  /// - Parameter folder: is made if need be; nil to write nothing.
  public mutating func add(_ row: EvaluationRow, _ images: ByteImages, in folder: String?) throws {
    rows.append(row)
    guard let folder else { return }
    try makeFolder(folder)
    try ImageOutput.sheet("\(folder)/\(sheet(rows.count - 1))").write(
      images.pixels(0..<min(64, images.count)), shape: images.shape)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    try File.writeAtomically(Array(encoder.encode(self)), to: "\(folder)/evaluation.json")
    try File.writeAtomically(Array(markdown.utf8), to: "\(folder)/evaluation.md")
  }

  /// The report with its tables and pictures.
  var markdown: String {
    var text = """
      # \(run ?? "Images") against \(data)

      \(sentences)

      \(Self.heading)
      \(Self.columns.rule)

      """
    for row in rows { text += row.line + "\n" }
    text += "\n\(Self.legend)\n"
    if let likelihood { text += "\n\(likelihood.markdown)" }
    for (index, row) in rows.enumerated() {
      text += "\n## \(row.title)\n\n![\(row.title)](\(sheet(index)))\n"
    }
    return text
  }

  /// The name of a row's sheet of images. Rows may have the same title, but not the same number.
  private func sheet(_ index: Int) -> String {
    let words = rows[index].title.lowercased().split {
      !$0.isASCII || !($0.isLetter || $0.isNumber)
    }
    return (["\(index + 1)"] + words).joined(separator: "-").prefix(100) + ".png"
  }

  /// What the numbers are.
  public var sentences: String {
    var text = "Features: \(extractor)"
    text += fingerprint.map { " (\($0))." } ?? "."
    if accuracy == nil {
      text += " There is no trained classifier, so nothing can be said of classes."
    }
    if let elbo {
      text += """
         ELBO of the test images\(elbo.binarise.remark) \(elbo.total.digits(2)) nats: \
        reconstruction \(elbo.reconstruction.digits(2)), divergence \(elbo.divergence.digits(2)).
        """
    }
    if let importance {
      let error = importance.error.map { " ± \($0.digits(2))" }
      text += """
         ln p(x) of the test images\(importance.binarise.remark) \(importance.mean.digits(2))\
        \(error ?? "") nats, by \(importance.samples) importance samples for each.
        """
    }
    text += " \(references) training images for kernel, precision and recall."
    if let sampling {
      text += """
         Sampled by \(sampling.words); seed \(seed), \(threads) thread\(threads == 1 ? "" : "s").
        """
    }
    return text
  }

  /// What the columns are.
  private static let legend = """
    Fréchet: the squared Fréchet distance of features from those of all training images; pixels: \
    the same of pixels in [0, 1]. Kernel: the kernel distance of features, with an interval for \
    the sampling of images only, not for training. Of all three lower is better; compare rows of \
    equal counts only. Precision: the share of these images that lie amid training images; recall: \
    of training images amid these. Classes: the total variation distance between class frequencies \
    and the training images'. Inception: an inception-style score by this data set's own \
    classifier. Labels: the share of images that the classifier takes for what they are, or were asked \
    to be. s/image: wall time of making the whole row with all threads, over its images. \
    Evals: how often the second stage's network was asked for an image, on average. Moved: how far \
    edited images are from what they were, over how far another image of that class is; of frames of \
    a path, from its first one, whose class their label is, over how far two first ones are. Code: the \
    same of what the VAE reads from them, the mean of q(z|x).
    """

  /// The columns of the table, with the widths that they have on a terminal.
  fileprivate static let columns: [Column] = [
    ("images", 30), ("steps", 5), ("count", 6), ("Fréchet", 8), ("pixels", 7),
    ("kernel (95 %)", 25), ("precision", 9), ("recall", 6), ("classes", 7),
    ("inception", 9), ("labels", 6), ("s/image", 8), ("evals", 6), ("moved", 6), ("code", 6),
  ]

  /// The first line of the table.
  public static var heading: String { columns.line(columns.map(\.name)) }
}

extension EvaluationRow {
  /// The row as a line of the table.
  public var line: String {
    let s = scores
    return EvaluationReport.columns.line([
      images, steps.map { "\($0)" } ?? "", "\(count)", s.frechet.digits(3),
      s.pixelFrechet?.digits(3) ?? "–",
      "\(s.kernel.digits(3)) (\(s.kernelLow.digits(3))…\(s.kernelHigh.digits(3)))",
      s.precision.digits(3), s.recall.digits(3), s.classDistance?.digits(3) ?? "–",
      s.inceptionScore?.digits(2) ?? "–", s.labels?.digits(3) ?? "–",
      secondsPerImage?.digits(5) ?? "",
      evaluations?.digits(1) ?? "", moved?.digits(3) ?? "", code?.digits(3) ?? "",
    ])
  }

  fileprivate var title: String {
    images + (steps.map { ", \($0) step\($0 == 1 ? "" : "s")" } ?? "")
  }
}
