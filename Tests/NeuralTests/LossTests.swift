import RealModule
import Testing

@testable import Neural

@Suite struct LossTests {
  @Test("Cross entropy: value in double precision, derivative by finite differences")
  func crossEntropyLoss() {
    let logits = normal(5, 9, seed: 1).affine(3, 0)
    let targets = normal(5, 9, seed: 2).sigmoid()
    let losses = crossEntropies(logits: logits, targets: targets)
    let derivative = crossEntropyDerivative(logits: logits, targets: targets)
    for row in 0..<5 {
      let pairs = zip(logits.row(row), targets.row(row))
      let exact = pairs.reduce(0.0) { sum, pair in
        let (p, x) = (1 / (1 + Double.exp(-Double(pair.0))), Double(pair.1))
        return sum - x * .log(p) - (1 - x) * .log(1 - p)
      }
      #expect(abs(losses[row] - exact) < 1e-5 * exact, "\(losses[row]), not \(exact)")
    }
    let error = worstSlopeError(at: logits, gradient: derivative) {
      crossEntropies(logits: $0, targets: targets).reduce(0, +)
    }
    #expect(error < 2e-3)
  }

  @Test("Cross entropy of classes: values of PyTorch, derivative by finite differences")
  func classes() {
    // l = torch.tensor([[1., 2, 3, 4], [-100, 0, 100, 5]], dtype=torch.float64)
    // torch.nn.functional.cross_entropy(l, torch.tensor([0, 2]), reduction='sum'); l.softmax(1)[0]
    let two = Matrix(2, 4, [1, 2, 3, 4, -100, 0, 100, 5])
    let (loss, derivative) = softmaxCrossEntropy(logits: two, labels: [0, 2])
    #expect(abs(loss - 3.4401896985611953) < 1e-6)
    let expected = Matrix(2, 4, [-0.967941, 0.087144, 0.236883, 0.643914, 0, 0, 0, 0])
    #expect(distance(derivative, expected) < 1e-6)
    #expect(abs(two.softmax()[0, 0] - 0.032059) < 1e-6)

    let logits = normal(7, 5, seed: 1).affine(3, 0)
    let labels: [UInt8] = [0, 1, 2, 3, 4, 4, 0]
    let gradient = softmaxCrossEntropy(logits: logits, labels: labels).derivative
    let error = worstSlopeError(at: logits, gradient: gradient) {
      softmaxCrossEntropy(logits: $0, labels: labels).loss
    }
    #expect(error < 2e-3)
  }

  @Test("Squared error: value by hand, derivative by finite differences")
  func squared() {
    let (loss, derivative) = squaredError(
      Matrix(2, 2, [1, 2, 3, 4]), Matrix(2, 2, [0, 0, 1, 1]), weights: [1, 0.5])
    #expect(loss == 11.5)  // 1 + 4 + (4 + 9)/2
    #expect(derivative.elements == [2, 4, 2, 3])
    let (x, target) = (normal(4, 30, seed: 3), normal(4, 30, seed: 4))
    let weights: [Float] = [1, 2, 0.1, 7]
    let gradient = squaredError(x, target, weights: weights).derivative
    let error = worstSlopeError(at: x, gradient: gradient) {
      squaredError($0, target, weights: weights).loss
    }
    #expect(error < 2e-3)
  }

  @Test("Pseudo-Huber: value by hand, derivative by finite differences")
  func huber() {
    // √(3² + 4² + 12²) - 12 = 1 and √(12²) - 12 = 0
    let (loss, derivative) = pseudoHuber(
      Matrix(2, 2, [3, 4, 1, 1]), Matrix(2, 2, [0, 0, 1, 1]), scale: 12, weight: 2)
    #expect(abs(loss - 2) < 1e-12)
    #expect(distance(derivative, Matrix(2, 2, [6.0 / 13, 8.0 / 13, 0, 0])) < 1e-6)
    let (x, target) = (normal(4, 30, seed: 3), normal(4, 30, seed: 4))
    let gradient = pseudoHuber(x, target, scale: 0.3, weight: 0.5).derivative
    let error = worstSlopeError(at: x, gradient: gradient) {
      pseudoHuber($0, target, scale: 0.3, weight: 0.5).loss
    }
    #expect(error < 2e-3)
  }

  @Test("A chosen variance: value in double precision, derivative by finite differences")
  func chosenVariance() {
    let v = normal(3, 1500, seed: 1)
    let (output, target) = (normal(3, 1500, seed: 2), normal(3, 1500, seed: 3))
    let numbers: [(constant: Double, range: Double, known: Double, error: Double)] = [
      (-1, 0.5, 1, 0.3), (2.5, 0.8, 0, 7), (-1, 0, 1, 0.1),
    ]
    let rows = numbers.map {
      ChosenVariance(constant: $0.constant, range: $0.range, known: $0.known, error: $0.error)
    }
    let weights: [Float] = [1, 0.2, 3]
    func losses(_ v: Matrix) -> [Double] {
      chosenVarianceLosses(v, output, target, rows, weights: weights).losses
    }
    let (found, gradient) = chosenVarianceLosses(v, output, target, rows, weights: weights)
    for (row, k) in numbers.enumerated() {
      let expected = (0..<1500).reduce(0.0) { sum, i in
        let d = Double(output[row, i]) - Double(target[row, i])
        let (v, spread) = (Double(v[row, i]), k.known + k.error * d * d)
        return sum + (k.constant + k.range * v + spread * .exp(-k.range * v)) / 2
      }
      #expect(abs(found[row] - expected) < 1e-5 * max(1, abs(expected)), "\(found[row])")
    }
    #expect(gradient.row(2).allSatisfy { $0 == 0 })
    let error = worstSlopeError(at: v, gradient: gradient) {
      zip(losses($0), weights).reduce(0) { $0 + $1.0 * Double($1.1) }
    }
    #expect(error < 2e-3)
    // What overflows shows, and nothing is a trap.
    let wild = Matrix(1, 2, [-.greatestFiniteMagnitude, .greatestFiniteMagnitude])
    let overflown = chosenVarianceLosses(wild, wild, Matrix(1, 2), [rows[0]], weights: [1])
    #expect(!overflown.losses[0].isFinite)
  }

  @Test("A target of several rows is that of each, in both losses")
  func sharedTargets() {
    let (output, targets) = (normal(6, 9, seed: 1), normal(2, 9, seed: 2).sigmoid())
    let repeated = targets.rows(at: [0, 0, 0, 1, 1, 1])
    #expect(
      crossEntropies(logits: output, targets: targets)
        == crossEntropies(logits: output, targets: repeated))
    #expect(
      crossEntropyDerivative(logits: output, targets: targets)
        == crossEntropyDerivative(logits: output, targets: repeated))
    let weights: [Float] = [1, 2, 0.1, 7, 0, 3]
    let (one, each) = (
      squaredErrors(output, targets, weights: weights),
      squaredErrors(output, repeated, weights: weights)
    )
    #expect(one.losses == each.losses && one.derivative == each.derivative)
  }

  @Test("Free bits: a latent of less counts as that and pulls at nothing, one of more as it is")
  func freeBits() {
    // KL(N(m, 1) ‖ N(0, 1)) = m²/2: 0.02, 0.5 and 2 nats.
    let q = DiagonalGaussian(Matrix(1, 6, [0.2, 1, 2, 0, 0, 0]))
    #expect(abs(q.divergencesFromNormal(atLeast: 0.25)[0] - 2.75) < 1e-6)
    #expect(
      q.divergenceDerivative(factors: [3], atLeast: 0.25)
        == Matrix(1, 6, [0, 3, 6, 0, 0, 0]))
    #expect(q.divergencesFromNormal(atLeast: nil) == q.divergencesFromNormal(atLeast: 0))
  }

  @Test("Gaussian latents: divergence in closed form, all derivatives by finite differences")
  func gaussian() {
    // KL(N(1, e) ‖ N(0, 1)) = ½ (1 + e - 1 - 1)
    let loss = DiagonalGaussian(Matrix(1, 2, [1, 1])).divergencesFromNormal()
    #expect(abs(loss[0] - 0.5 * (Double.exp(1) - 1)) < 1e-6)
    #expect(DiagonalGaussian(Matrix(3, 4)).divergencesFromNormal() == [0, 0, 0])

    let (parameters, noise) = (normal(6, 8, seed: 5), normal(6, 4, seed: 6))
    let q = DiagonalGaussian(parameters)
    let perDimension = q.divergencePerDimension.reduce(0, +)
    #expect(abs(perDimension - q.divergencesFromNormal().reduce(0, +)) < 1e-4)
    let c = normal(6, 4, seed: 7)
    let factors: [Float] = [3, 1, 0, 0.5, 2, -1]
    for least: Float? in [nil, 0.5] {
      let byDivergence = worstSlopeError(
        at: parameters, gradient: q.divergenceDerivative(factors: factors, atLeast: least)
      ) { parameters in
        let divergences = DiagonalGaussian(parameters).divergencesFromNormal(atLeast: least)
        return zip(factors, divergences).reduce(0) { $0 + Double($1.0) * $1.1 }
      }
      #expect(byDivergence < 2e-3, "at least \(least ?? 0)")
    }
    let bySample = worstSlopeError(at: parameters, gradient: q.backward(c, noise: noise)) {
      DiagonalGaussian($0).sample(noise).dot(c)
    }
    #expect(bySample < 2e-3)
  }
}
