import DiffuseVAE
import Neural
import Testing

@testable import Evaluation

@Suite struct ClassifierTests {
  static let shape = ImageShape(height: 7, width: 5, channels: 3)

  /// ((31 i + 17) i + 101 k) mod 1009 / 504 - 1
  private func numbers(_ rows: Int, _ columns: Int, _ k: Int) -> Matrix {
    Matrix(
      rows, columns,
      (0..<rows * columns).map { i in
        Float(Double(((31 * i + 17) * i + 101 * k) % 1009) / 504 - 1)
      })
  }

  private func network() -> Classifier {
    var network = Classifier(shape: Self.shape, classes: 4, seed: 1)
    var k = 0
    network.visitParameters { _, parameter in
      let (rows, columns) = (parameter.value.rows, parameter.value.columns)
      parameter.value = numbers(rows, columns, k)
      parameter.value.scale(rows == 1 ? 0.1 : (3 / Float(columns)).squareRoot())
      k += 1
    }
    return network
  }

  /// ```python
  /// def numbers(rows, columns, k):
  ///     return torch.tensor([((31 * i + 17) * i + 101 * k) % 1009 / 504 - 1
  ///         for i in range(rows * columns)], dtype=torch.float64).reshape(rows, columns)
  /// H, W, C, n, classes = 7, 5, 3, 2, 4
  /// sizes, inputs, params, k = [32, 64, 128], C, [], 0
  /// def make(o, i):
  ///     global k
  ///     w = numbers(o, i, k) * math.sqrt(3 / i); b = numbers(1, o, k + 1)[0] * 0.1; k += 2
  ///     params.append((w.requires_grad_(), b.requires_grad_())); return params[-1]
  /// x = (numbers(n, H * W * C, 100) + 1) / 2
  /// h = x.reshape(n, H, W, C).permute(0, 3, 1, 2)
  /// for o in sizes:
  ///     w, b = make(o, 9 * inputs)
  ///     h = F.conv2d(h, w.reshape(o, 3, 3, inputs).permute(0, 3, 1, 2), b, padding=1)
  ///     h = F.silu(F.max_pool2d(h, 2, ceil_mode=True)); inputs = o
  /// h = h.permute(0, 2, 3, 1).reshape(n, -1)
  /// w, b = make(128, h.shape[1]); f = F.silu(h @ w.T + b)
  /// w, b = make(classes, 128); l = f @ w.T + b
  /// F.cross_entropy(l, torch.tensor([1, 3])).backward()
  /// f[:, ::40]; l.softmax(1)
  /// [(w.grad.norm(), b.grad.norm(), (w.grad * numbers(*w.shape, 7)).sum()) for w, b in params]
  /// ```
  @Test("The classifier and its derivatives are PyTorch's")
  func torch() {
    let network = network()
    let (logits, residuals) = network.forward(
      numbers(2, Self.shape.count, 100).affine(0.5, 0.5))
    let features: [Float] = [
      0.126364, -0.083979, 0.040538, -0.041642, 0.103513, -0.073727, 0.040335, -0.016121,
    ]
    for (i, expected) in features.enumerated() {
      let found = residuals.features[i / 4, i % 4 * 40]
      #expect(abs(found - expected) < 2e-6)
    }
    let probabilities: [Float] = [
      0.282349, 0.254143, 0.231993, 0.231516, 0.278567, 0.254130, 0.234070, 0.233233,
    ]
    for (found, expected) in zip(logits.softmax().elements, probabilities) {
      #expect(abs(found - expected) < 2e-6)
    }

    var (loss, derivative) = softmaxCrossEntropy(logits: logits, labels: [1, 3])
    derivative.scale(0.5)
    #expect(abs(0.5 * loss - 1.412788) < 2e-6)
    var gradients = Gradients(of: network)
    network.backward(derivative, residuals, &gradients)
    let weights = [
      (0.102633, -0.035956), (0.330015, -0.118458), (0.510566, 0.375814), (0.284153, 0.068041),
      (0.304292, 0.632891),
    ]
    let biases = [0.037232, 0.061990, 0.139946, 0.255658, 0.514813]
    var index = 0
    network.forEachParameter { name, parameter in
      let gradient = gradients[parameter].value
      let norm = gradient.squaredNorm.squareRoot()
      if name.hasSuffix("bias") {
        #expect(abs(norm - biases[index / 2]) < 5e-6, "\(name)")
      } else {
        let (expected, product) = weights[index / 2]
        #expect(abs(norm - expected) < 5e-6, "\(name)")
        // A sum of thousands of rounded terms.
        #expect(abs(gradient.dot(numbers(gradient.rows, gradient.columns, 7)) - product) < 5e-6)
      }
      index += 1
    }
    #expect(index == 10)
  }

  @Test(
    "Weights are counted without making them",
    arguments: ["7x5x3", "28x28x1", "1x1x1", "2x9x4"])
  func count(shape: String) throws {
    let shape = try #require(ImageShape(shape))
    let network = Classifier(shape: shape, classes: 7, seed: 0)
    #expect(network.parameterCount == Classifier.parameterCount(shape: shape, classes: 7))
  }

  @Test("Features start with no regard to the number of classes")
  func classes() {
    let x = numbers(3, Self.shape.count, 1)
    let features = [2, 9].map { classes in
      Classifier(shape: Self.shape, classes: classes, seed: 3).forward(x).residuals.features
    }
    #expect(features[0] == features[1])
  }
}
