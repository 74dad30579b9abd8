import Diffusion
import Foundation
import Testing

@testable import DiffuseVAE
@testable import Evaluation

@Suite struct LikelihoodReportTests {
  private func likelihood(_ shift: Double, divergence: Double?) -> ImageLikelihood {
    let bounds = [ReverseVariance.small, .large].enumerated().map { number, variance in
      (
        variance,
        VariationalBound(
          prior: 0.25, diffusion: 8 * Double(number + 1), reconstruction: 16 * shift)
      )
    }
    return ImageLikelihood(
      bounds: Dictionary(uniqueKeysWithValues: bounds), flow: 32 * shift, divergence: divergence)
  }

  /// Nats an image of 16 pixels in bits a dimension.
  private let bit = 16 * log(2.0)

  @Test("Means in bits a dimension with their standard errors; the whole is the sum of the parts")
  func rows() throws {
    let data = try Dataset(DataSettings(set: "gaussian"))
    let report = LikelihoodReport(
      [likelihood(1, divergence: 3), likelihood(3, divergence: 5)],
      LikelihoodOptions(threads: 1), prior: "mixture", data: data)
    #expect(report.images == 2 && report.draws == 100 && report.flowSteps == 25)
    #expect(
      report.rows.map(\.name) == [
        "ELBO, variance small", "ELBO, variance large", "probability flow", "entropy of the data",
      ])
    func expect(_ mean: LikelihoodReport.Mean?, _ value: Double, _ error: Double?) throws {
      let mean = try #require(mean)
      #expect(abs(mean.value - value / bit) < 1e-12, "\(mean)")
      #expect(mean.error.map { abs($0 - (error ?? .nan) / bit) < 1e-12 } ?? (error == nil))
    }
    // Of two terms a and b the standard error is |a - b|/2.
    let small = report.rows[0]
    try expect(small.prior, 0.25, 0)
    try expect(small.diffusion, 8, 0)
    try expect(small.reconstruction, 32, 16)
    try expect(small.total, 40.25, 16)
    try expect(small.divergence, 4, 1)
    try expect(small.whole, 44.25, 17)
    try expect(report.rows[1].total, 48.25, 16)
    let flow = report.rows[2]
    #expect(flow.prior == nil && flow.diffusion == nil && flow.reconstruction == nil)
    try expect(flow.total, 64, 32)
    try expect(flow.whole, 68, 33)
    // ½ ln 2πe s² and the logarithm of bytes to a unit.
    let entropy = 16 * (log(2 * .pi * M_E * 0.04) / 2 + log(127.5))
    try expect(report.rows[3].whole, entropy, nil)
    #expect(report.rows[3].total == nil)

    #expect(Set(([LikelihoodReport.heading] + report.lines).map { $0.count { $0 == "|" } }) == [10])
    let cells = report.lines[0].split(separator: "|").map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    #expect(cells[4...] == ["3.6293", "1.4427", "0.3607", "3.9900", "1.5329"])
    #expect(
      report.markdown.contains("p(z) the prior mixture, is a bound for both stages together."))
    let copy = try JSONDecoder().decode(
      LikelihoodReport.self, from: JSONEncoder().encode(report))
    #expect(copy == report)
  }

  @Test("Without a divergence there is no whole, of one image no standard error")
  func poor() throws {
    let data = try Dataset(DataSettings(set: "gaussian"))
    let none = LikelihoodReport(
      [likelihood(1, divergence: nil)], LikelihoodOptions(threads: 1), prior: nil, data: data)
    for row in none.rows {
      #expect(row.divergence == nil && row.whole == nil && row.total?.error == nil)
      #expect(row.total != nil)
    }
    #expect(!none.markdown.contains("q(z|x)"))
    let diffusion = LikelihoodReport(
      [likelihood(1, divergence: nil)], LikelihoodOptions(threads: 1), prior: "diffusion",
      data: try Dataset(DataSettings()))
    #expect(diffusion.prior == nil && diffusion.rows.count == 3)
    #expect(diffusion.rows.allSatisfy { $0.whole == nil })
  }
}
