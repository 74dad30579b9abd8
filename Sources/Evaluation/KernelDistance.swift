import DiffuseVAE
import Neural
import RealModule

/// The kernel distance (of Inception features, the KID of Bińkowski et al. 2018): an unbiased
/// estimate of the squared maximum mean discrepancy with the kernel `(x·y / d + 1)³`.
///
/// Both sets are shuffled and dealt into disjoint blocks. Each pair of blocks gives an estimate;
/// these are independent, so their scatter tells the error of their mean. (Random subsets that
/// overlap, as in the paper, would make it look smaller than it is.)
public struct KernelDistance: Equatable, Sendable {
  /// The mean of ``blocks``: around 0, and possibly below, for sets of one distribution.
  public let value: Double
  /// 95 % confidence, by Student's t: as though estimates were Gaussian. Those of equal
  /// distributions lean to one side, the more the fewer directions features have: ten blocks of 50
  /// hold the 0 in about 86 % of draws of one feature that is a bit, 91 % of one that is Gaussian,
  /// and 94 % of eight such.
  public let confidence: ClosedRange<Double>
  /// The estimate of each pair of blocks.
  public let blocks: [Double]

  /// - Parameters:
  ///   - a: features, `[n, d]`, a row per image.
  ///   - b: features, `[m, d]`.
  ///   - blocks: 2…; each takes two images of either set at least. Ten make blocks of the paper's
  ///     1 000 images out of 10 000.
  ///   - seed: decides who is in a block with whom.
  ///   - threads: The distance does not depend on it.
  /// - Throws: ``UserError`` for other sizes, and for features that are not finite.
  public init(
    _ a: Matrix, _ b: Matrix, blocks: Int = 10, seed: UInt64, threads: Int
  ) throws {
    let name = "the kernel distance"
    try a.checkFeatures(atLeast: 4, for: name)
    try b.checkFeatures(atLeast: 4, for: name)
    try checkWidths(a.columns, b.columns, for: name)
    let most = min(a.rows, b.rows) / 2
    guard (2...most).contains(blocks) else {
      throw UserError(
        "\(name) of \(a.rows) and \(b.rows) images takes 2 to \(most) blocks, not \(blocks)")
    }
    let orders = [a, b].enumerated().map { step, features in
      var random = SequentialRandom(RandomStream(seed: seed, purpose: .shuffle, step: step))
      return (0..<features.rows).shuffled(using: &random)
    }
    let estimates = try concurrently(blocks, threads: threads) { block in
      let (x, y) = (orders[0], orders[1])
      return Self.estimate(
        a.rows(at: x[block * x.count / blocks..<(block + 1) * x.count / blocks]),
        b.rows(at: y[block * y.count / blocks..<(block + 1) * y.count / blocks]))
    }
    let count = Double(blocks)
    let mean = estimates.reduce(0, +) / count
    let variance = estimates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    let margin = studentQuantile(0.95, degrees: blocks - 1) * (variance / count).squareRoot()
    value = mean
    confidence = mean - margin...mean + margin
    self.blocks = estimates
  }

  /// The unbiased estimate (Gretton et al. 2012, eq. 3): means of the kernel over pairs of
  /// different rows within x and within y, less twice that over pairs of an x and a y.
  static func estimate(_ x: Matrix, _ y: Matrix) -> Double {
    let (n, m) = (Double(x.rows), Double(y.rows))
    let within = cubicKernelSum(x, x, distinct: true) / (n * (n - 1))
    let other = cubicKernelSum(y, y, distinct: true) / (m * (m - 1))
    return within + other - 2 * cubicKernelSum(x, y, distinct: false) / (n * m)
  }
}

/// The t that |T| stays below with the given probability, T of Student's distribution.
///
/// Inverts the finite series for whole degrees of freedom (Abramowitz & Stegun 1964, 26.7.3 and
/// 26.7.4) by halving.
///
/// - Parameters:
///   - probability: in (0, 1).
///   - degrees: 1…
func studentQuantile(_ probability: Double, degrees: Int) -> Double {
  func below(_ angle: Double) -> Double {
    let (sine, cosine) = (Double.sin(angle), Double.cos(angle))
    let isOdd = degrees % 2 == 1
    var (term, sum) = (isOdd ? cosine : 1, 0.0)
    for power in stride(from: isOdd ? 1 : 0, through: degrees - 2, by: 2) {
      sum += term
      term *= cosine * cosine * Double(power + 1) / Double(power + 2)
    }
    return isOdd ? (angle + sine * sum) * 2 / .pi : sine * sum
  }
  var (low, high) = (0.0, Double.pi / 2)
  for _ in 0..<60 {
    let middle = (low + high) / 2
    if below(middle) < probability { low = middle } else { high = middle }
  }
  return Double(degrees).squareRoot() * .tan(low)
}
