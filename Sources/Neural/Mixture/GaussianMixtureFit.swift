extension GaussianMixture {
  /// A fitted mixture, and how it got there.
  public struct Fit: Sendable {
    public let mixture: GaussianMixture
    /// Means of `ln p(x)` over the points, in nats: of the start, then after every iteration.
    public let logLikelihoods: [Double]

    /// That of ``mixture``.
    public var logLikelihood: Double { logLikelihoods.last ?? -.infinity }
  }

  /// When a fit is good enough.
  public struct FitOptions: Sendable {
    /// Starts, of which the one that ends best is kept.
    public var starts = 3
    /// At most so many from each start.
    public var iterations = 100
    /// Gain of the mean log-likelihood, in nats, below which iterations end.
    public var tolerance = 1e-3
    /// Added to every variance, so that none is nothing: from 0 up, but 1e-10 of the data's largest
    /// variance at least.
    public var regularisation = 1e-6
    public var seed: UInt64 = 0
    /// The fit does not depend on it.
    public var threads = 1

    public init() {}
  }

  /// Fits a mixture to points by expectation–maximisation from starts by k-means++.
  ///
  /// A component that no point belongs to any more is dropped, and there are no more components
  /// than distinct points, so the mixture may have fewer than are asked for. It is finite whatever
  /// the points are.
  ///
  /// - Parameters:
  ///   - points: `[rows, dimensions]`, one row at least.
  ///   - components: 1…
  /// - Throws: ``LinearAlgebraError`` when there is nothing to fit, or a point is not finite.
  public static func fit(
    _ points: Matrix, components: Int, covariance: Covariance, _ options: FitOptions = FitOptions()
  ) throws -> Fit {
    guard components > 0, options.starts > 0 else {
      throw LinearAlgebraError(description: "a mixture has one component and one start at least")
    }
    let em = try ExpectationMaximisation(
      points, covariance, regularisation: options.regularisation, threads: options.threads)
    let fits = try (0..<options.starts).map { start in
      var random = SequentialRandom(
        RandomStream(seed: options.seed, purpose: .mixtureStart, step: start))
      let (nearest, groups) = kMeansSeeds(points, count: components, using: &random)
      return try em.run(
        from: em.start(nearest, groups: groups), iterations: options.iterations,
        tolerance: options.tolerance)
    }
    return fits.max { $0.logLikelihood < $1.logLikelihood } ?? fits[0]
  }

  /// Memory that a fit takes, in bytes, besides the points themselves.
  public static func fitBytes(
    points: Int, dimensions: Int, components: Int, covariance: Covariance, threads: Int
  ) -> Int {
    let features = GaussianFeatures.count(dimensions, covariance)
    // The sums of every lane, their total now and before, and coefficients; and eight mixtures, of
    // all starts and on the way, whose full factors are about twice as many numbers as features.
    let perComponent = (ExpectationMaximisation.lanes + 4 + 8 * 2) * features
    // Of a block in every thread: features, coordinates, responsibilities as joint densities.
    let rows = GaussianFeatures.blockRows(features)
    let block = rows * (2 * features + 2 * components)
    // Distances, groups and densities of all points.
    return 8 * (components * perComponent + threads * block + 3 * points)
  }
}

/// Seeds by k-means++: the first is any point, each next one a point by the square of its distance
/// from the nearest seed (Arthur & Vassilvitskii 2007, §2.2).
///
/// - Returns: for each point the number of its nearest seed, and how many seeds there are, fewer
///   than `count` when there are fewer distinct points.
func kMeansSeeds(
  _ points: Matrix, count: Int, using random: inout some RandomNumberGenerator
) -> (nearest: [Int], seeds: Int) {
  let dimensions = points.columns
  var nearest = [Int](repeating: 0, count: points.rows)
  var distances = [Double](repeating: .infinity, count: points.rows)
  var seed = Int.random(in: 0..<points.rows, using: &random)
  for number in 0..<count {
    let x = points.elements.span
    var total = 0.0
    for row in 0..<points.rows {
      var distance = 0.0
      for i in 0..<dimensions {
        let difference = Double(x[row * dimensions + i]) - Double(x[seed * dimensions + i])
        distance += difference * difference
      }
      if distance < distances[row] { (distances[row], nearest[row]) = (distance, number) }
      total += distances[row]
    }
    guard total > 0 else { return (nearest, number + 1) }
    var rest = Double.random(in: 0..<1, using: &random) * total
    // If rounding leaves some rest at the end, the last point that is no seed.
    for row in 0..<points.rows where distances[row] > 0 {
      seed = row
      rest -= distances[row]
      if rest < 0 { break }
    }
  }
  return (nearest, count)
}
