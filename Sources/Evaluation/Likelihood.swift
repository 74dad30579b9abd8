import DiffuseVAE
import Diffusion
import Formats
import Neural
import RealModule

/// Likelihoods of held-out images that are to be estimated.
public struct LikelihoodRequest: Sendable {
  /// Numbers of images that likelihoods can be estimated of.
  public static let counts = 1...1_000_000

  /// Images, spread evenly over the held-out ones; all of them if there are fewer.
  public var count: Int
  public var options: LikelihoodOptions

  public init(count: Int, _ options: LikelihoodOptions) {
    (self.count, self.options) = (count, options)
  }

  /// Refuses what cannot be done, before hours of work.
  func check(_ model: Model, _ data: Dataset) throws {
    guard Self.counts.contains(count) else {
      throw UserError("likelihood is of \(count) images; it must be of \(Self.counts)")
    }
    guard data.test != nil else {
      throw UserError("\(data.name) has no test images, whose likelihood could be estimated")
    }
    _ = try LikelihoodEstimator(model, options)
  }
}

/// How likely held-out images are, in bits a dimension: every number is a mean over images of an
/// upper bound of `-log₂ P`, or of a part of it.
public struct LikelihoodReport: Codable, Equatable, Sendable {
  public struct Mean: Codable, Equatable, Sendable {
    public let value: Double
    /// The standard error of the mean; nil for a single image.
    public let error: Double?

    init(exactly value: Double) { (self.value, error) = (value, nil) }

    init(_ terms: [Double]) { (value, error) = sampleMean(terms) }
  }

  /// One way to bound it.
  public struct Row: Codable, Equatable, Sendable {
    public let name: String
    /// Terms of the variational bound; nil for others.
    public let prior, diffusion, reconstruction: Mean?
    /// Of the second stage: given x̂0, if there is a VAE.
    public let total: Mean?
    /// `KL(q(z|x) ‖ p(z))`; nil without a VAE, and for a prior without a density.
    public let divergence: Mean?
    /// Of the whole model, the sum of the last two; nil as the divergence is.
    public let whole: Mean?
  }

  public let images: Int
  /// Steps of the chain, for each image.
  public let draws: Int
  public let flowSteps: Int
  /// What the divergence is from; nil without one.
  public let prior: String?
  public let rows: [Row]

  /// - Parameter prior: nil without a VAE.
  init(
    _ likelihoods: [ImageLikelihood], _ options: LikelihoodOptions, prior: String?,
    data: Dataset
  ) {
    let bit = Double(data.shape.count) * .log(2)
    func row(
      _ name: String, _ total: [Double], _ bounds: [VariationalBound]? = nil
    ) -> Row {
      func mean(_ terms: [Double]?) -> Mean? { terms.map { Mean($0.map { $0 / bit }) } }
      let known = likelihoods.compactMap(\.divergence)
      let divergences = known.count == likelihoods.count ? known : nil
      return Row(
        name: name, prior: mean(bounds?.map(\.prior)), diffusion: mean(bounds?.map(\.diffusion)),
        reconstruction: mean(bounds?.map(\.reconstruction)), total: Mean(total.map { $0 / bit }),
        divergence: mean(divergences), whole: mean(divergences.map { zip($0, total).map(+) }))
    }
    images = likelihoods.count
    draws = options.draws
    flowSteps = options.flowSteps
    var rows =
      ReverseVariance.allCases.compactMap { variance in
        let bounds = likelihoods.compactMap { $0.bounds[variance] }
        return bounds.isEmpty ? nil : row("ELBO, variance \(variance)", bounds.map(\.total), bounds)
      } + [row("probability flow", likelihoods.map(\.flow))]
    if let exact = data.entropy.map({ Mean(exactly: $0 / bit) }) {
      rows.append(
        Row(
          name: "entropy of the data", prior: nil, diffusion: nil, reconstruction: nil,
          total: prior == nil ? exact : nil, divergence: nil, whole: prior == nil ? nil : exact))
    }
    self.rows = rows
    self.prior = rows[0].divergence == nil ? nil : prior
  }
}

extension LikelihoodReport {
  /// The first line of the table.
  public static var heading: String { columns.line(columns.map(\.name)) }

  /// The rows as lines of the table.
  public var lines: [String] {
    rows.map { row in
      func cells(_ mean: Mean?) -> [String] {
        [mean?.value.digits(4) ?? "", mean?.error?.digits(4) ?? ""]
      }
      return Self.columns.line(
        [row.name] + [row.prior, row.diffusion, row.reconstruction].map { cells($0)[0] }
          + cells(row.total) + cells(row.divergence).prefix(1) + cells(row.whole))
    }
  }

  /// What the numbers are.
  var sentences: String {
    let whole = prior.map {
      " Total is given x̂0 of one z ~ q(z|x); whole, with KL(q(z|x) ‖ p(z)) and p(z) the prior "
        + "\($0), is a bound for both stages together."
    }
    return """
      Bits a dimension of \(images) test images, each an upper bound of -log₂ P, with standard errors \
      over the images. ELBO: by \(draws) steps of the chain for each image and a decoder of bytes. \
      Probability flow: in \(flowSteps) steps from the first level of noise on, by Hutchinson's \
      estimate, of bytes spread evenly over their bins, which gives a bound; x0 is never clipped in it.\
      \(whole ?? "")
      """
  }

  /// The table in Markdown.
  var markdown: String {
    ([Self.heading, Self.columns.rule] + lines).joined(separator: "\n") + "\n\n\(sentences)\n"
  }

  private static let columns: [Column] = [
    ("likelihood, bits a dimension", 30), ("prior", 7), ("diffusion", 9),
    ("reconstruction", 14), ("total", 7), ("±", 6), ("z", 7), ("whole", 7), ("±", 6),
  ]
}

extension LikelihoodRequest {
  /// The likelihoods of held-out images under a run; nil if there are none.
  ///
  /// - Parameters:
  ///   - prior: p(z); nil without a VAE.
  ///   - progress: is told how many images are done, and how many there are.
  func report(
    _ run: Run, on data: Dataset, prior: PriorSettings.Kind?, progress: (Int, Int) -> Void
  ) throws -> LikelihoodReport? {
    guard let images = data.test else { return nil }
    let model = try Model(of: run, prior: prior)
    let estimator = try LikelihoodEstimator(model, options)
    let indices = images.spread(count)
    var likelihoods: [ImageLikelihood] = []
    for part in indices.indices.parts(of: estimator.images) {
      likelihoods += try estimator.likelihoods(of: images, Array(indices[part]))
      progress(likelihoods.count, indices.count)
    }
    return LikelihoodReport(likelihoods, options, prior: prior?.rawValue, data: data)
  }
}
