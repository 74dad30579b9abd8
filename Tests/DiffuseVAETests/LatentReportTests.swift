import Formats
import Foundation
import Neural
import RealModule
import Testing

@testable import DiffuseVAE

@Suite struct LatentReportTests {
  private func report(
    _ posteriors: DiagonalGaussian, _ prior: GaussianMixture
  ) -> (report: LatentReport, error: Double) {
    // Posteriors that are equally wide have one entropy: the density alone varies.
    let z = posteriors.sample(normal(posteriors.count, posteriors.dimensions, seed: 3))
    let densities = prior.logDensities(of: z)
    let n = Double(densities.count)
    let mean = densities.reduce(0, +) / n
    let variance = densities.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
    let report = LatentReport(posteriors, fromPrior: .init(posteriors, logDensities: densities))
    return (report, (variance / n).squareRoot())
  }

  /// `KL(N(m, s²) ‖ N(0, v))` in one dimension.
  private func divergence(_ m: Double, _ s: Double, _ v: Double) -> Double {
    0.5 * ((s * s + m * m) / v - 1 + Double.log(v / (s * s)))
  }

  @Test("Where the prior is the aggregated posterior, what remains is the mutual information")
  func exactPrior() throws {
    // Two clusters 20 deviations apart: z tells which one, ln 2, and nothing else.
    let rows = (0..<4000).flatMap { row in
      [row % 4 == 0 ? 1 : -1, 0, 2 * Float.log(0.1), 0] as [Float]
    }
    let prior = try GaussianMixture(
      weights: [1, 3], means: [1, 0, -1, 0], factors: [0.1, 1, 0.1, 1], covariance: .diagonal)
    let (report, error) = report(DiagonalGaussian(Matrix(4000, 4, rows)), prior)
    let information = 0.25 * Double.log(4) + 0.75 * Double.log(4.0 / 3)
    let found = try #require(report.divergenceFromPrior)
    #expect(abs(found.mean - information) < 4 * error, "\(found), \(information) ± \(error)")
    #expect(abs(try #require(found.error) - error) < 1e-3 * error)
    #expect(abs(report.divergenceFromNormal - divergence(1, 0.1, 1)) < 1e-5)
    #expect(report.latents.map(\.active) == [true, false])
    #expect(abs(report.latents[0].mean + 0.5) < 1e-6 && report.latents[1].mean == 0)
    // E[σ²] + Var[μ] = 0.01 + 1 - 0.25
    #expect(abs(report.latents[0].deviation - 0.76.squareRoot()) < 1e-6)
  }

  @Test("A linear Gaussian VAE: both divergences are the closed forms")
  func linear() throws {
    // μ ~ N(0, 2.25 - 0.25) and s² = 0.25, so that q(z) is N(0, 2.25).
    let means = normal(5000, 1, seed: 8).affine(Float(2.0.squareRoot()), 0)
    let posteriors = DiagonalGaussian(means.joined(Matrix(5000, 1, fill: Float.log(0.25))))
    let prior = try GaussianMixture(
      weights: [1], means: [0], factors: [1.5], covariance: .full)
    let (report, error) = report(posteriors, prior)
    func mean(_ v: Double) -> Double {
      means.elements.reduce(0) { $0 + divergence(Double($1), 0.5, v) } / 5000
    }
    let found = try #require(report.divergenceFromPrior)
    #expect(abs(found.mean - mean(2.25)) < 4 * error)
    #expect(abs(report.divergenceFromNormal - mean(1)) < 1e-4)
  }

  @Test("The mean and its standard error, by hand; a single image has none")
  func standardError() throws {
    // Entropies ½ (1 + ln 2π + ln σ²) of σ² = 1 and 4, so terms 2 - h - ln 2 and 1 - h.
    let posteriors = DiagonalGaussian(Matrix(2, 2, [0, Float.log(4), 0, 0]))
    let divergence = LatentReport.Divergence(posteriors, logDensities: [-2, -1])
    let h = 0.5 * (1 + Double.log(2 * .pi))
    let difference = 1 - Double.log(2)
    #expect(abs(divergence.mean - (1.5 - h - 0.5 * Double.log(2))) < 1e-6)
    #expect(abs(try #require(divergence.error) - abs(difference) / 2) < 1e-6)
    let one = DiagonalGaussian(Matrix(1, 2))
    #expect(LatentReport.Divergence(one, logDensities: [-2]).error == nil)
  }

  @Test("Of several levels each one's share is told, and the divergence is their sum")
  func levels() throws {
    let report = LatentReport(
      DiagonalGaussian(Matrix(2, 2)), levels: [[1, 2], [0.5, 0.25], [-1, 1]])
    #expect(report.levels?.map(\.mean) == [1.5, 0.375, 0])
    #expect(report.divergenceFromLevels?.mean == 1.875)
    // 0.5 and 3.25: half of their difference is the error of the mean.
    #expect(report.divergenceFromLevels?.error == 1.375)
    #expect("\(report)".contains("prior of 3 levels at most 1.88 ± 1.38"))
    #expect(LatentReport(DiagonalGaussian(Matrix(2, 2))).levels == nil)
  }

  @Test("A run has it as JSON; several numbers of components are one prior, that of least BIC")
  func run() throws {
    try inTemporaryFolder { runs in
      let configuration = try small("training.vae.steps=200", "prior.components=[1, 3, 60]")
      let run = try trainedRun(in: runs, configuration)
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let report = try decoder.decode(
        LatentReport.self, from: Data(try File.read(run.latentsFile)))
      #expect(report.images == 1500 && report.latents.count == 4)
      let (seen, unseen) = (report.divergenceFromPrior, report.testDivergenceFromPrior)
      #expect(seen?.images == 1500 && unseen?.images == 297)
      // What the VAE's own prior makes of the test images; the fitted one can only be nearer.
      let model = try Model(of: run)
      let test = try #require(try Dataset(configuration.data).test)
      let normal = try model.evidenceLowerBound(of: test, threads: 2).divergence
      let (mean, error) = (try #require(unseen?.mean), try #require(unseen?.error))
      #expect(mean > 0 && mean < normal + 4 * error && error > 0)
      let sum = report.latents.reduce(0) { $0 + $1.divergence }
      #expect(abs(sum - report.divergenceFromNormal) < 1e-9)
      #expect(report.latents.allSatisfy { $0.active == ($0.divergence > 0.01) })
      guard case .mixture(let mixture) = try Model(of: run).prior else {
        return #expect(Bool(false), "no mixture")
      }
      // 60 full covariances in 4 dimensions are 899 numbers for 1 500 latents.
      #expect([1, 3].contains(mixture.components))
      let many = try small("prior.components=[1, 3, 151]")
      let digits = try Dataset(many.data)
      #expect(
        problem { try many.checkMixture(digits, threads: 2) }.contains("prior.components is 151"))
    }
  }
}
