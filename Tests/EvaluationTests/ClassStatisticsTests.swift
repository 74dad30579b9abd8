import Neural
import Testing

@testable import Evaluation

@Suite struct ClassStatisticsTests {
  @Test("Inception score: 1 of uniform rows or of one class, K of all K classes surely and evenly")
  func inceptionScores() throws {
    #expect(abs(try inceptionScore(probabilities: Matrix(7, 4, fill: 0.25)) - 1) < 1e-15)
    var sure = Matrix(20, 5)
    for row in 0..<20 { sure[row, row % 5] = 1 }
    #expect(abs(try inceptionScore(probabilities: sure) - 5) < 1e-14)
    #expect(try inceptionScore(probabilities: sure.rows(at: [0, 5, 10])) == 1)
  }

  /// ```python
  /// p = np.float32([[.7,.2,.1],[.1,.8,.1],[.25,.25,.5],[1,0,0]]).astype(float)
  /// p /= p.sum(1, keepdims=True)
  /// np.exp(scipy.special.rel_entr(p, p.mean(0)).sum(1).mean())
  /// ```
  @Test("Inception score of four images is that of scipy")
  func scipy() throws {
    let p = Matrix(4, 3, [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.25, 0.25, 0.5, 1, 0, 0])
    #expect(abs(try inceptionScore(probabilities: p) - 1.478376351017016) < 1e-14)
  }

  @Test("Histogram of the likeliest classes, the first of equal ones")
  func histogram() throws {
    let p = Matrix(4, 3, [0.2, 0.5, 0.3, 0.4, 0.4, 0.2, 0, 0.5, 0.5, 0, 0, 1])
    #expect(try classHistogram(probabilities: p) == [0.25, 0.5, 0.25])
  }

  @Test("Total variation by hand")
  func totalVariation() throws {
    #expect(try classHistogramDistance([1, 2, 1], [0.25, 0.5, 0.25]) == 0)
    #expect(try classHistogramDistance([1, 0, 3], [0, 2, 0]) == 1)
    // (½, ½, 0) and (¼, ¼, ½): ½ (¼ + ¼ + ½)
    #expect(try classHistogramDistance([2, 2, 0], [1, 1, 2]) == 0.5)
  }

  @Test("What is no distribution is refused")
  func refusals() {
    func refuse(_ part: String, _ p: Matrix) {
      expectUserError(part) { _ = try inceptionScore(probabilities: p) }
      expectUserError(part) { _ = try classHistogram(probabilities: p) }
    }
    refuse("one image", Matrix(0, 3))
    refuse("one class", Matrix(3, 0))
    refuse("image 1", Matrix(2, 2, [1, 0, 0.5, 0.4]))
    refuse("image 0", Matrix(1, 2, [-0.5, 1.5]))
    refuse("image 0", Matrix(1, 2, [.nan, 1]))
    let pairs: [([Double], [Double])] = [
      ([1], [1, 1]), ([], []), ([0], [1]), ([1, -1], [1, 1]), ([1, .nan], [1, 1]),
    ]
    for (a, b) in pairs {
      expectUserError("histograms") { _ = try classHistogramDistance(a, b) }
    }
  }

  @Test("Labels agree where they are the likeliest class; one that is none of the classes never is")
  func agreement() {
    let p = Matrix(4, 3, [0.5, 0.3, 0.2] + [0.1, 0.2, 0.7] + [0, 1, 0] + [0.2, 0.2, 0.6])
    for (labels, expected) in [
      ([0, 2, 1, 2], 1.0), ([0, 2, 1, 0], 0.75), ([1, 1, 0, 0], 0), ([0, 255, 3, 2], 0.5),
    ] as [([UInt8], Double)] {
      #expect(labelAgreement(probabilities: p, labels: labels) == expected)
    }
  }
}
