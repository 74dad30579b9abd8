import Foundation
import Neural
import Testing

@Suite struct LogisticRegressionTests {
  @Test("One feature of two values: w is the logarithm of the odds ratio")
  func oddsRatio() throws {
    // Of 40 points with x = 0 ten are of the class, of 60 with x = 1 forty-five.
    let x = [Float](repeating: 0, count: 40) + [Float](repeating: 1, count: 60)
    let isOne = (0..<40).map { $0 < 10 } + (0..<60).map { $0 < 45 }
    let fit = try LogisticRegression(Matrix(100, 1, x), isOne, penalty: 1e-9)
    #expect(abs(fit.intercept - log(10.0 / 30)) < 1e-6)
    #expect(abs(fit.weights[0] - log(45.0 / 15 / (10.0 / 30))) < 1e-6)
  }

  @Test(
    "At the optimum the derivative is zero: Σ (y - p) x = penalty w, Σ (y - p) = 0",
    arguments: [0.1, 10])
  func stationary(penalty: Double) throws {
    let x = RandomStream(seed: 5, purpose: .component).normal(rows: Array(0..<200), columns: 3)
    let isOne = (0..<200).map { row in x[row, 0] - 0.5 * x[row, 2] + x[row, 1] * x[row, 1] > 0.8 }
    let fit = try LogisticRegression(x, isOne, penalty: penalty)
    var derivative = fit.weights.map { -penalty * $0 } + [0]
    for row in 0..<200 {
      let point = x.rows(row..<row + 1).elements.map { Double($0) } + [1]
      let score = zip(point, fit.weights + [fit.intercept]).reduce(0) { $0 + $1.0 * $1.1 }
      let error = (isOne[row] ? 1 : 0) - 1 / (1 + exp(-score))
      for i in 0..<4 { derivative[i] += error * point[i] }
    }
    for value in derivative { #expect(abs(value) < 1e-4, "\(derivative)") }
  }

  @Test("Points that a plane parts have a finite answer, on the right sides")
  func separable() throws {
    let x = Matrix(6, 1, [-1000, -2, -1, 1, 2, 1000])
    let isOne = [false, false, false, true, true, true]
    let fit = try LogisticRegression(x, isOne, penalty: 1)
    #expect(fit.weights[0] > 0 && fit.weights[0].isFinite && abs(fit.intercept) < 1e-6)
  }

  @Test("One class alone, and numbers that are not finite, are refused")
  func refusals() {
    #expect(throws: LinearAlgebraError.self) {
      try LogisticRegression(Matrix(2, 1, [1, 2]), [true, true], penalty: 1)
    }
    #expect(throws: LinearAlgebraError.self) {
      try LogisticRegression(Matrix(2, 1, [1, .nan]), [true, false], penalty: 1)
    }
  }
}
