import Neural
import Testing

@testable import DiffuseVAE

@Suite struct ClassGaussiansTests {
  /// Posteriors of unit variance: two heaps, 8 apart, the second one narrow, in two latents that are
  /// correlated; a third latent carries nothing.
  private static let count = 400
  private let labels = (0..<Self.count).map { $0 % 2 == 0 ? 3 : 7 }
  private var posteriors: DiagonalGaussian {
    let noise = RandomStream(seed: 6, purpose: .component).normal(
      rows: Array(0..<Self.count), columns: 2)
    var values = Matrix(Self.count, 6)
    for row in 0..<Self.count {
      let (a, b) = (noise[row, 0], noise[row, 1])
      let isFirst = row % 2 == 0
      values[row, 0] = isFirst ? a : 8 + 0.5 * a
      values[row, 1] = isFirst ? 0.6 * a + 0.8 * b : -0.3 * a + 0.2 * b
    }
    return DiagonalGaussian(values)
  }

  @Test("A class that is moved to another has its mean and covariance; what says nothing stays")
  func moments() throws {
    let posteriors = posteriors
    let classes = try ClassGaussians(of: posteriors, labels: labels, threads: 1)
    func latents(_ label: Int) -> Matrix {
      posteriors.mean.rows(at: labels.indices.filter { labels[$0] == label })
    }
    var z = latents(3)
    for row in 0..<z.rows { z[row, 2] = Float(row) }
    let way = try classes.way(to: 7)
    let moved = way.moved(z, strength: 1)
    for row in 0..<z.rows { #expect(moved[row, 2] == Float(row)) }
    let found = try meanAndCovariance(of: moved.columns(0..<2), threads: 1)
    let expected = try meanAndCovariance(of: latents(7).columns(0..<2), threads: 1)
    for (a, b) in zip(found.mean + found.covariance, expected.mean + expected.covariance) {
      #expect(abs(a - b) < 1e-5, "\(found) is not \(expected)")
    }
    let half = way.moved(z, strength: 0.5)
    for place in half.elements.indices {
      #expect(abs(half.elements[place] - (z.elements[place] + moved.elements[place]) / 2) < 1e-5)
    }
    // To its own class there is nothing to go.
    for (a, b) in zip(try classes.way(to: 3).moved(z, strength: 1).elements, z.elements) {
      #expect(abs(a - b) < 1e-5)
    }
  }

  @Test("Classes that are not there, and classes of too few images, are refused")
  func refusals() throws {
    let classes = try ClassGaussians(of: posteriors, labels: labels, threads: 1)
    #expect(
      problem { try classes.way(to: 4) }
        == "there is no training image of class 4")
    var few = labels
    few[0] = 5
    #expect(
      problem { try ClassGaussians(of: posteriors, labels: few, threads: 1) }
        .contains("class 5 has 1 training images"))
    #expect(
      problem { try shakenModel("vae.classes=3", "diffusion.classes=3").classGaussians(threads: 1) }
        .contains("--label"))
  }
}
