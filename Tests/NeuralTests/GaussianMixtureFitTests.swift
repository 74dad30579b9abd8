import RealModule
import Testing

@testable import Neural

@Suite struct GaussianMixtureFitTests {
  typealias Covariance = GaussianMixture.Covariance

  /// Points of uneven density without any structure that a mixture has.
  private func points(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    normal(rows, columns, seed: seed).map { $0 * $0 * $0 + 5 * Elementary.sigmoid(9 * $0) }
  }

  private func options(
    _ change: (inout GaussianMixture.FitOptions) -> Void
  ) -> GaussianMixture.FitOptions {
    var options = GaussianMixture.FitOptions()
    change(&options)
    return options
  }

  @Test(
    "One component is the sample's mean and covariance, and what is added to the variances",
    arguments: Covariance.allCases)
  func oneComponent(covariance: Covariance) throws {
    let x = points(5000, 3, seed: 1).affine(1, 100)
    let fit = try GaussianMixture.fit(
      x, components: 1, covariance: covariance, options { $0.regularisation = 1e-3 })
    let n = Double(x.rows)
    let mean = (0..<3).map { i in (0..<x.rows).reduce(0) { $0 + Double(x[$1, i]) } / n }
    let factor = fit.mixture.factor(0)
    for i in 0..<3 {
      #expect(abs(fit.mixture.means[i] - mean[i]) < 1e-10)
      for j in 0...i {
        let sigma =
          (0..<x.rows).reduce(0) {
            $0 + (Double(x[$1, i]) - mean[i]) * (Double(x[$1, j]) - mean[j])
          } / n + (i == j ? 1e-3 : 0)
        switch covariance {
        case .full:
          let product = (0...j).reduce(0) { $0 + factor[3 * i + $1] * factor[3 * j + $1] }
          #expect(abs(product - sigma) < 1e-10, "\(i), \(j)")
        case .diagonal:
          #expect(i != j || abs(factor[i] * factor[i] - sigma) < 1e-10, "\(i)")
        }
      }
    }
  }

  @Test("The log-likelihood never decreases", arguments: Covariance.allCases, 0..<5)
  func monotone(covariance: Covariance, seed: Int) throws {
    let x = points(700, 4, seed: UInt64(seed))
    let fit = try GaussianMixture.fit(
      x, components: 6, covariance: covariance,
      options { ($0.seed, $0.starts, $0.tolerance) = (UInt64(seed), 1, 1e-7) })
    #expect(fit.logLikelihoods.count > 5)
    for (before, after) in zip(fit.logLikelihoods, fit.logLikelihoods.dropFirst()) {
      // What is added to the variances takes a little from the M step's optimum.
      #expect(after >= before - 1e-8, "\(before) → \(after)")
    }
    let densities = fit.mixture.logDensities(of: x)
    // Measured from another origin.
    #expect(abs(fit.logLikelihood - densities.reduce(0, +) / 700) < 1e-9)
  }

  @Test(
    "After every M step the mixture has the points' mean and variances", arguments: 1...4)
  func moments(iterations: Int) throws {
    let x = points(900, 3, seed: 6)
    for covariance in Covariance.allCases {
      let mixture = try GaussianMixture.fit(
        x, components: 5, covariance: covariance, options { $0.iterations = iterations }
      ).mixture
      for i in 0..<3 {
        let column = (0..<900).map { Double(x[$0, i]) }
        let mean = column.reduce(0, +) / 900
        let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 900
        var (first, second) = (0.0, 0.0)
        for (component, weight) in mixture.weights.enumerated() {
          let mu = mixture.means[3 * component + i]
          let factor = mixture.factor(component)
          let row = covariance == .full ? Array(factor[3 * i...3 * i + i]) : [factor[i]]
          first += weight * mu
          second += weight * (mu * mu + row.reduce(0) { $0 + $1 * $1 })
        }
        #expect(abs(first - mean) < 1e-10)
        #expect(abs(second - first * first - variance - 1e-6) < 1e-10 * variance)
      }
    }
  }

  @Test("More starts are no worse, and the best one is kept")
  func starts() throws {
    let x = points(500, 3, seed: 8)
    let fits = try [1, 2, 4, 8].map { starts in
      try GaussianMixture.fit(x, components: 5, covariance: .full, options { $0.starts = starts })
    }
    let likelihoods = fits.map(\.logLikelihood)
    #expect(likelihoods == likelihoods.sorted())
    #expect(likelihoods[0] < likelihoods[3])
  }

  @Test("A known mixture of three is found again: a divergence below 0.01 nats")
  func recovery() throws {
    let truth = try GaussianMixture(
      weights: [0.5, 0.3, 0.2], means: [0, 0, 4, 1, -3, 3],
      factors: [1, 0, 0.5, 0.7, 0.4, 0, -0.2, 1.2, 1, 0, 0, 0.3], covariance: .full)
    let n = 20_000
    let x = truth.sample(choices: uniform(n, seed: 5), noise: normal(n, 2, seed: 6))
    let fit = try GaussianMixture.fit(x, components: 3, covariance: .full)
    let fresh = truth.sample(choices: uniform(n, seed: 7), noise: normal(n, 2, seed: 8))
    let divergence =
      zip(truth.logDensities(of: fresh), fit.mixture.logDensities(of: fresh))
      .reduce(0) { $0 + $1.0 - $1.1 } / Double(n)
    #expect(abs(divergence) < 1e-2, "\(divergence)")
    // One of each, whatever their order: weights within four standard errors of counting.
    for (found, weight) in zip(fit.mixture.weights.sorted(by: >), truth.weights) {
      #expect(abs(found - weight) < 4 * (weight * (1 - weight) / Double(n)).squareRoot() + 5e-3)
    }
  }

  /// Made with scikit-learn 1.9.1:
  ///
  ///     i = np.arange(60)
  ///     x = np.stack([np.sin(1.3 * i) + 2 * (i % 3), np.cos(0.7 * i) + i % 2,
  ///                   np.sin(2.1 * i) * np.cos(0.4 * i)], axis=1).astype(np.float32).astype(float)
  ///     for kind, ones in [("full", np.stack([np.eye(3)] * 3)), ("diag", np.ones((3, 3)))]:
  ///         m = GaussianMixture(3, covariance_type=kind, tol=0, max_iter=5, means_init=x[:3],
  ///                             weights_init=[0.2, 0.3, 0.5], precisions_init=ones,
  ///                             init_params="random").fit(x)
  ///         print(m.weights_.tolist(), m.means_.tolist(), m.covariances_[1].tolist(),
  ///               m.score_samples(x[:2]).tolist(), m.predict_proba(x[3:4]).tolist(), m.score(x))
  @Test("Five iterations give scikit-learn's numbers", arguments: Covariance.allCases)
  func scikitLearn(covariance: Covariance) throws {
    let rows = (0..<60).map { (i: Int) -> [Float] in
      let t = Double(i)
      let x = Double.sin(1.3 * t) + 2 * Double(i % 3)
      let y = Double.cos(0.7 * t) + Double(i % 2)
      return [Float(x), Float(y), Float(Double.sin(2.1 * t) * Double.cos(0.4 * t))]
    }
    let x = Matrix(60, 3, rows.flatMap { $0 })
    let ones: [Double] = covariance == .full ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : [1, 1, 1]
    let start = try GaussianMixture(
      weights: [0.2, 0.3, 0.5], means: x.elements[0..<9].map(Double.init),
      factors: ones + ones + ones, covariance: covariance)
    let em = try ExpectationMaximisation(x, covariance, regularisation: 1e-6, threads: 1)
    let fit = try em.run(from: start, iterations: 5, tolerance: -1)
    let mixture = fit.mixture
    let l = mixture.factor(1)
    var sigma = l.map { $0 * $0 }
    if covariance == .full {
      for place in 0..<9 {
        let (a, b) = (place / 3 * 3, place % 3 * 3)
        sigma[place] = l[a] * l[b] + l[a + 1] * l[b + 1] + l[a + 2] * l[b + 2]
      }
    }
    var found = mixture.weights + mixture.means + sigma
    found += mixture.logDensities(of: x.rows(0..<2))
    found += mixture.responsibilities(of: x.rows(3..<4))
    found.append(fit.logLikelihood)
    let expected: [Double] =
      switch covariance {
      case .full:
        [
          0.41438613986438444, 0.29752180719295124, 0.2880920529426642,
          0.21804144140030285, 0.4847058306852259, -0.006490657398524796,
          2.7608169270524687, 0.7568986647823189, 0.13647685476795865,
          3.8332380593715123, 0.2245594487933834, -0.12279684605653168,
          0.7575481961154268, -0.10410013129158002, 0.07699343494382287,
          -0.10410013129158001, 0.41281863463438856, -0.3168675594239415,
          0.07699343494382285, -0.3168675594239415, 0.46699969002035896,
          -1.5830755762840352, -6.023348002442492,
          0.9999164492196756, 8.159143322682801e-05, 1.959347097411443e-06,
          -3.509626158272601,
        ]
      case .diagonal:
        [
          0.41601387428982856, 0.2352715046817449, 0.34871462102842643,
          0.22337787938214146, 0.5017135027081071, -0.012855562027021912,
          2.797892862330926, 0.636575422265191, 0.1947121827350853,
          3.6272905627485548, 0.37926483693463187, -0.10875290919653965,
          0.9365113622592264, 0.6126995447020175, 0.41042923250555896,
          -1.6152603110185495, -4.5917845843469,
          0.9996060691880931, 0.00033495095459772117, 5.897985730929222e-05,
          -3.6342581760533417,
        ]
      }
    #expect(found.count == expected.count)
    for (index, (a, b)) in zip(found, expected).enumerated() {
      #expect(abs(a - b) < 1e-10, "number \(index): \(a), not \(b)")
    }
  }

  @Test(
    "Data without extent in some or all directions end in a finite mixture",
    arguments: Covariance.allCases)
  func degenerate(covariance: Covariance) throws {
    let three = Matrix(90, 2, (0..<180).map { Float($0 % 6) })
    var flat = points(300, 3, seed: 3)
    for row in 0..<300 { flat[row, 1] = 7 }
    let line = Matrix(200, 2, (0..<400).map { Float($0 / 2) })
    let tiny = Matrix(50, 1, (0..<50).map { Float($0) * .leastNonzeroMagnitude })
    let huge = Matrix(60, 2, points(60, 2, seed: 4).elements.map { $0 * 1e36 })
    let mixed = Matrix(100, 2, (0..<200).map { $0 < 6 ? 1e30 : Float($0 % 13) })
    let cases: [(Matrix, atMost: Int)] = [
      (Matrix(100, 3, fill: 2.5), 1), (Matrix(1, 2, [3, 4]), 1), (three, 3), (flat, 10),
      (line, 10), (tiny, 10), (huge, 10), (mixed, 10),
    ]
    for (index, (x, atMost)) in cases.enumerated() {
      let fit = try GaussianMixture.fit(x, components: 10, covariance: covariance)
      #expect(1...atMost ~= fit.mixture.components, "case \(index)")
      #expect(fit.logLikelihoods.allSatisfy { $0.isFinite }, "case \(index)")
      #expect(fit.mixture.logDensities(of: x).allSatisfy { $0.isFinite }, "case \(index)")
      let draws = fit.mixture.sample(
        choices: uniform(100, seed: 1), noise: normal(100, x.columns, seed: 2))
      #expect(draws.elements.allSatisfy { $0.isFinite }, "case \(index)")
      if index == 0 { #expect(draws.elements.allSatisfy { abs($0 - 2.5) < 6.67e-3 }) }
      if index == 3 {
        #expect((0..<100).allSatisfy { abs(draws[$0, 1] - 7) < 6.67e-3 }, "six deviations of 1e-3")
      }
    }
  }

  @Test("What cannot be fitted to is refused")
  func refusals() {
    func refuse(_ x: Matrix, components: Int = 2, starts: Int = 1, regularisation: Double = 1e-6) {
      #expect(throws: LinearAlgebraError.self) {
        try GaussianMixture.fit(
          x, components: components, covariance: .full,
          options { ($0.starts, $0.regularisation) = (starts, regularisation) })
      }
    }
    refuse(Matrix(0, 3))
    refuse(Matrix(3, 0))
    refuse(Matrix(2, 1, [1, .nan]))
    refuse(Matrix(2, 1, [1, -.infinity]))
    refuse(Matrix(2, 1), components: 0)
    refuse(Matrix(2, 1), starts: 0)
    refuse(Matrix(2, 1), regularisation: -1)
    refuse(Matrix(2, 1), regularisation: .nan)
    refuse(Matrix(1, 70_000))
  }

  @Test("The same bits with 1, 2 and 3 threads", arguments: Covariance.allCases)
  func threads(covariance: Covariance) throws {
    let x = points(3001, 5, seed: 9)
    let fits = try (1...3).map { threads in
      try GaussianMixture.fit(
        x, components: 7, covariance: covariance, options { $0.threads = threads })
    }
    for fit in fits.dropFirst() {
      #expect(fit.mixture == fits[0].mixture)
      #expect(fit.logLikelihoods == fits[0].logLikelihoods)
    }
  }

  @Test("Seeds by k-means++: every point has the nearest one; no more than distinct points")
  func seeds() {
    var random = SequentialRandom(RandomStream(seed: 1, purpose: .mixtureStart))
    // Four places far apart, ten points each: every place gets a seed before any gets two.
    let x = Matrix(40, 1, (0..<40).map { Float($0 % 4 * 1000) + Float($0 / 4) * 1e-3 })
    let (nearest, seeds) = kMeansSeeds(x, count: 4, using: &random)
    #expect(seeds == 4 && Set(nearest).count == 4)
    for row in 0..<40 { #expect(nearest[row] == nearest[row % 4]) }
    #expect(kMeansSeeds(Matrix(9, 2, fill: 1), count: 5, using: &random).seeds == 1)
    #expect(kMeansSeeds(x, count: 100, using: &random).seeds == 40)
  }
}
