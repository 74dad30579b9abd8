import COpenBLAS
import RealModule

/// Fitting a mixture by expectation–maximisation (Dempster, Laird & Rubin 1977; Bishop 2006, §9.2).
struct ExpectationMaximisation: Sendable {
  let points: Matrix  // [rows, dimensions]
  let features: GaussianFeatures
  /// Added to every variance.
  let regularisation: Double
  let threads: Int

  /// Parts of the points that have sums of their own. It decides the order of additions, so it is
  /// no matter of the machine.
  static let lanes = 16

  /// A component of fewer points than this is dropped. To put it elsewhere instead would lower the
  /// likelihood, and where there are fewer distinct points than components it would never end.
  private static let fewestPoints = 1e-12

  /// - Throws: ``LinearAlgebraError`` when there is no point, or one that is not finite.
  init(
    _ points: Matrix, _ covariance: GaussianMixture.Covariance, regularisation: Double,
    threads: Int
  ) throws {
    let (n, dimensions) = (points.rows, points.columns)
    guard n > 0, dimensions > 0, points.elements.allSatisfy(\.isFinite) else {
      throw LinearAlgebraError(description: "a mixture is fitted to points that are finite")
    }
    guard regularisation >= 0, regularisation.isFinite else {
      throw LinearAlgebraError(description: "a mixture's regularisation is a number from 0 up")
    }
    guard Int32(exactly: GaussianFeatures.count(dimensions, covariance)) != nil else {
      throw LinearAlgebraError(description: "\(dimensions) dimensions are too many for a mixture")
    }
    var (mean, variance) = ([Double](repeating: 0, count: dimensions), 0.0)
    for (place, x) in points.elements.enumerated() {
      mean[place % dimensions] += Double(x) / Double(n)
    }
    for i in 0..<dimensions {
      let squares = (0..<n).reduce(0.0) { sum, row in
        let difference = Double(points[row, i]) - mean[i]
        return sum + difference * difference
      }
      variance = max(variance, squares / Double(n))
    }
    self.points = points
    self.threads = threads
    features = GaussianFeatures(origin: mean, covariance)
    // Covariances of large numbers have rounding errors that a fixed number does not cover.
    self.regularisation = max(regularisation, 1e-10 * variance, 1e-30)
  }

  /// E and M step in turn until the mean log-likelihood gains less than `tolerance`.
  func run(
    from start: GaussianMixture, iterations: Int, tolerance: Double
  ) throws -> GaussianMixture.Fit {
    var mixture = start
    var (sums, logLikelihood) = try expectation(mixture)
    var logLikelihoods = [logLikelihood]
    for _ in 0..<iterations {
      mixture = try maximisation(sums)
      (sums, logLikelihood) = try expectation(mixture)
      let gain = logLikelihood - logLikelihoods[logLikelihoods.count - 1]
      logLikelihoods.append(logLikelihood)
      if gain < tolerance { break }
    }
    return GaussianMixture.Fit(mixture: mixture, logLikelihoods: logLikelihoods)
  }

  /// A mixture around seeds: the means of the points nearest to each, with one covariance, that
  /// within all groups. A group's own would be singular where the group is an outlier.
  ///
  /// - Parameter nearest: for each point the number of its group, below `groups`.
  func start(_ nearest: [Int], groups: Int) throws -> GaussianMixture {
    let (sums, _) = try sums(components: groups) { rows, _ in
      var r = [Double](repeating: 0, count: rows.count * groups)
      for (index, row) in rows.enumerated() { r[index * groups + nearest[row]] = 1 }
      return (r, 0)
    }
    var within = [Double](repeating: 0, count: features.covariance.factorCount(features.dimensions))
    let centres = (0..<groups).map { moments(sums, $0) }
    for group in centres {
      let share = group.points / Double(points.rows)
      for place in within.indices { within[place] += share * group.covariance[place] }
    }
    let factor = try factor(of: within)
    return try GaussianMixture(
      weights: centres.map(\.points), means: centres.flatMap(\.mean),
      factors: centres.flatMap { _ in factor }, covariance: features.covariance)
  }

  /// The E step: `Σ r_k(x) φ(x)` for every component k, `[components, features]`, and the mean of
  /// `ln p(x)`.
  func expectation(
    _ mixture: GaussianMixture
  ) throws -> (sums: [Double], logLikelihood: Double) {
    let coefficients = features.coefficients(of: mixture)
    let (sums, mean) = try sums(components: mixture.components) { rows, phi in
      let block = Expectation(phi, coefficients, mixture.components, rows.count)
      return (block.responsibilities, block.logDensities.reduce(0, +))
    }
    return (sums, mean)
  }

  /// The M step.
  func maximisation(_ sums: [Double]) throws -> GaussianMixture {
    let alive = (0..<sums.count / features.count)
      .filter { sums[$0 * features.count] >= Self.fewestPoints }
      .map { moments(sums, $0) }
    return try GaussianMixture(
      weights: alive.map(\.points), means: alive.flatMap(\.mean),
      factors: alive.flatMap { try factor(of: $0.covariance) }, covariance: features.covariance)
  }

  /// One pass over all points: the sums of features by responsibilities, and the mean of what else
  /// `weigh` returns for a block of them.
  private func sums(
    components: Int,
    _ weigh: @Sendable (_ rows: Range<Int>, _ phi: [Double]) -> (r: [Double], value: Double)
  ) throws -> (sums: [Double], mean: Double) {
    let (n, count) = (points.rows, features.count)
    BLAS.oneThreadPerProduct
    let lanes = try concurrently(Self.lanes, threads: threads) { lane in
      var sums = [Double](repeating: 0, count: components * count)
      var value = 0.0
      let rows = lane * n / Self.lanes..<(lane + 1) * n / Self.lanes
      for block in features.blocks(of: rows) {
        let phi = features.values(of: points, block)
        let (r, share) = weigh(block, phi)
        value += share
        cblas_dgemm(
          CblasRowMajor, CblasTrans, CblasTrans, Int32(components), Int32(count),
          Int32(block.count), 1, r, Int32(components), phi, Int32(block.count), 1, &sums,
          Int32(count))
      }
      return (sums: sums, value: value)
    }
    var total = [Double](repeating: 0, count: components * count)
    for lane in lanes {
      var sum = total.mutableSpan
      let part = lane.sums.span
      for place in 0..<part.count { sum[place] += part[place] }
    }
    return (total, lanes.reduce(0) { $0 + $1.value } / Double(n))
  }

  private func moments(
    _ sums: [Double], _ component: Int
  ) -> (points: Double, mean: [Double], covariance: [Double]) {
    let d = features.dimensions
    let phi = Array(sums[component * features.count..<(component + 1) * features.count])
    let m = phi[1...d].map { $0 / phi[0] }
    let mean = zip(features.origin, m).map { $0 + $1 }
    var covariance = [Double](repeating: 0, count: features.covariance.factorCount(d))
    switch features.covariance {
    case .diagonal:
      // Rounding may leave less than nothing.
      for i in 0..<d { covariance[i] = max(0, phi[1 + d + i] / phi[0] - m[i] * m[i]) }
    case .full:
      var place = 1 + d
      for i in 0..<d {
        for j in 0...i {
          covariance[i * d + j] = phi[place] / phi[0] - m[i] * m[j]
          place += 1
        }
      }
    }
    return (phi[0], mean, covariance)
  }

  /// The factor of a covariance and ``regularisation``, or of as much more as it takes.
  private func factor(of covariance: [Double]) throws -> [Double] {
    guard features.covariance == .full else {
      return covariance.map { ($0 + regularisation).squareRoot() }
    }
    let d = features.dimensions
    var added = regularisation
    while added.isFinite {
      var regular = covariance
      for i in 0..<d { regular[i * d + i] += added }
      if let factor = cholesky(regular, n: d) { return factor }
      added = max(10 * added, .leastNormalMagnitude)
    }
    throw LinearAlgebraError(description: "a covariance of the mixture is not finite")
  }
}
