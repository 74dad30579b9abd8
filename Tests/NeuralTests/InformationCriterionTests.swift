import RealModule
import Testing

@testable import Neural

@Suite struct InformationCriterionTests {
  // scikit-learn 1.x, from the same parameters:
  //
  //   import numpy as np
  //   from sklearn.mixture import GaussianMixture
  //   from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky
  //   X = np.array([[9, 19], [-10, 4], [1, 10], [-9, 5.5], [10.5, 18]])
  //   L = {"full": np.array([[[2, 0], [-1.5, 0.5]], [[0.3, 0], [0.2, 1]]]),
  //        "diag": np.array([[2, 0.5], [0.3, 1]])}
  //   for kind, factors in L.items():
  //       m = GaussianMixture(2, covariance_type=kind)
  //       m.weights_, m.means_ = np.array([0.25, 0.75]), np.array([[10., 20], [-10, 5]])
  //       m.covariances_ = factors @ factors.transpose(0, 2, 1) if kind == "full" else factors ** 2
  //       m.precisions_cholesky_ = _compute_precision_cholesky(m.covariances_, kind)
  //       print(kind, m._n_parameters(), repr(m.bic(X)))
  @Test(
    "Number of parameters and BIC are scikit-learn's",
    arguments: [
      (GaussianMixture.Covariance.full, 11, 1218.49907982898), (.diagonal, 9, 490.4399262263345),
    ])
  func golden(covariance: GaussianMixture.Covariance, parameters: Int, expected: Double) throws {
    let mixture = try twoGaussians(covariance)
    #expect(mixture.freeParameters == parameters)
    let points = Matrix(5, 2, [9, 19, -10, 4, 1, 10, -9, 5.5, 10.5, 18])
    let mean = mixture.logDensities(of: points).reduce(0, +) / 5
    let fit = GaussianMixture.Fit(mixture: mixture, logLikelihoods: [0, mean])
    #expect(abs(fit.informationCriterion(points: 5) - expected) < 1e-11 * expected)
  }

  @Test("Of data from three components, three have the least BIC")
  func choice() throws {
    let truth = try GaussianMixture(
      weights: [1, 1, 1], means: [0, 0, 6, 0, 0, 6], factors: [1, 1, 0.5, 1, 1, 0.5],
      covariance: .diagonal)
    let points = truth.sample(choices: uniform(2000, seed: 1), noise: normal(2000, 2, seed: 2))
    let criteria = try (1...5).map { components in
      try GaussianMixture.fit(points, components: components, covariance: .full)
        .informationCriterion(points: 2000)
    }
    #expect(criteria.firstIndex(of: criteria.min() ?? 0) == 2, "\(criteria)")
  }
}
