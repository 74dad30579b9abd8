import DiffuseVAE
import Neural

/// A small convolutional network that tells the classes of images apart:
///
///     h = SiLU(P(C(h)))    three times, C a 3×3 convolution, P a 2×2 maximum
///     f = SiLU(F h)        the features
///     l = H f              the logits of the classes
///
/// There is no normalisation, so that features tell a faint image from a bold one.
struct Classifier: Parameterized {
  /// Of every block.
  static let channels = [32, 64, 128]
  static let features = 128

  private var convolutions: [Convolution3x3] = []
  private var hidden: Linear
  private var head: Linear
  private let pools: [MaxPool2]
  private let imageChannels: Int

  /// - Parameters:
  ///   - shape: of images; any, since maps of odd size are rounded up and one pixel stays one.
  ///   - seed: of the first weights. Those up to the features do not depend on `classes`.
  init(shape: ImageShape, classes: Int, seed: UInt64) {
    var source = ParameterSource(seed: seed)
    var map = MapShape(height: shape.height, width: shape.width)
    var inputs = shape.channels
    var pools: [MaxPool2] = []
    for outputs in Self.channels {
      convolutions.append(Convolution3x3(inputs, outputs, on: map, &source))
      pools.append(MaxPool2(map))
      (inputs, map) = (outputs, map.thinned(by: 2))
    }
    hidden = Linear(map.pixels * inputs, Self.features, &source)
    head = Linear(Self.features, classes, &source)
    self.pools = pools
    imageChannels = shape.channels
    // From ±1/√fanIn to ±√(6/fanIn) (He et al. 2015): numbers keep their size from layer to layer.
    visitParameters { name, parameter in
      guard name.hasSuffix(".weight") else { return }
      parameter.value.scale(Float(6).squareRoot())
      parameter.average = parameter.value
    }
  }

  struct Residuals: Sendable {
    var maps: [Matrix] = []  // into each convolution
    var choices: [[Int32]] = []  // of each pool
    var pooled: [Matrix] = []  // before each SiLU
    var flat = Matrix(0, 0)  // the last map, a row for each image
    var sum = Matrix(0, 0)  // before the features' SiLU
    var features = Matrix(0, 0)
  }

  /// - Parameter pixels: `[batch, height·width·channels]` in [0, 1].
  /// - Returns: logits `[batch, classes]`; the features, `[batch, 128]`, are among the residuals.
  func forward(_ pixels: Matrix) -> (logits: Matrix, residuals: Residuals) {
    var residuals = Residuals()
    var h = pixels.reshaped(columns: imageChannels)
    for (convolution, pool) in zip(convolutions, pools) {
      residuals.maps.append(h)
      let (pooled, choices) = pool.forward(convolution(h))
      residuals.choices.append(choices)
      residuals.pooled.append(pooled)
      h = SiLU()(pooled)
    }
    residuals.flat = h.reshaped(columns: hidden.inputs)
    residuals.sum = hidden(residuals.flat)
    residuals.features = SiLU()(residuals.sum)
    return (head(residuals.features), residuals)
  }

  /// - Parameter dLogits: derivative of the loss by the logits.
  func backward(_ dLogits: Matrix, _ residuals: Residuals, _ gradients: inout Gradients) {
    var dh = head.backward(dLogits, residuals.features, &gradients)
    dh = SiLU().backward(dh, residuals.sum, &gradients)
    dh = hidden.backward(dh, residuals.flat, &gradients)
    for i in convolutions.indices.reversed() {
      let pooled = residuals.pooled[i]
      dh = SiLU().backward(dh.reshaped(columns: pooled.columns), pooled, &gradients)
      dh = pools[i].backward(dh, residuals.choices[i], &gradients)
      if i > 0 {
        dh = convolutions[i].backward(dh, residuals.maps[i], &gradients)
      } else {
        convolutions[i].backwardFromData(dh, residuals.maps[i], &gradients)
      }
    }
  }

  mutating func prepare(training: Bool) { convolutions.prepare(training: training) }

  mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try convolutions.visit(path + ".convolutions", body)
    try hidden.visit(path + ".hidden", body)
    try head.visit(path + ".head", body)
  }

  /// Numbers that are held for an image on its way through and back, roughly: four times the first
  /// convolution's.
  static func residuals(perImageOf shape: ImageShape) -> Int {
    4 * shape.height * shape.width * channels[0]
  }

  /// The number of weights, without making them.
  static func parameterCount(shape: ImageShape, classes: Int) -> Int {
    var (map, inputs) = (MapShape(height: shape.height, width: shape.width), shape.channels)
    var count = 0
    for outputs in channels {
      count += (9 * inputs + 1) * outputs
      (inputs, map) = (outputs, map.thinned(by: 2))
    }
    return count + (map.pixels * inputs + 1) * features + (features + 1) * classes
  }
}
