import Neural
import Testing

@testable import DiffuseVAE

@Suite struct DenoiserTests {
  @Test(
    "Every image of a batch is its own, its timestep matters, and sampling computes what training does",
    arguments: DenoiserSettings.Kind.learned, [3, 3.5])
  func independence(kind: DenoiserSettings.Kind, first: Double) throws {
    func check<Network: ConfiguredDenoiser>(_: Network.Type) throws {
      let shape = ImageShape(height: 8, width: 4, channels: 2)
      let network = Network(try small(), shape: shape).shaken(0.1)
      let (x, image) = (normal(3, 64, seed: 1), normal(3, 64, seed: 2))
      let condition = Condition(image: image)
      let times = [first, 0, 49]
      let mixed = network.forward(x, condition: condition, timesteps: times, dropout: nil)
      for (number, t) in times.enumerated() {
        let together = network.predict(x, condition: condition, timestep: t)
        let trained = network.forward(
          x, condition: condition, timesteps: [t, t, t], dropout: nil)
        #expect(distance(together, trained.output) < 1e-5)
        if kind == .unet { #expect(together == trained.output) }
        let row = number..<number + 1
        let (x, condition) = (x.rows(row), Condition(image: image.rows(row)))
        let alone = network.predict(x, condition: condition, timestep: t)
        #expect(distance(alone, together.rows(row)) < 1e-5)
        #expect(distance(alone, mixed.output.rows(row)) < 1e-5)
        let later = network.predict(x, condition: condition, timestep: t / 2 + 5)
        #expect(distance(alone, later) > 1e-3)
      }
    }
    try check(kind.network)
  }

  @Test(
    "Between two timesteps the output is continuous, and a third one",
    arguments: DenoiserSettings.Kind.learned)
  func between(kind: DenoiserSettings.Kind) throws {
    let network = kind.network.init(
      try small(), shape: ImageShape(height: 8, width: 4, channels: 2)
    )
    .shaken(0.1)
    let (x, condition) = (normal(3, 64, seed: 1), Condition(image: normal(3, 64, seed: 2)))
    func output(_ t: Double) -> Matrix { network.predict(x, condition: condition, timestep: t) }
    // Single precision resolves neither of the small steps.
    #expect(distance(output(3 + 1e-7), output(3)) < 1e-5)
    #expect(distance(output(4 - 1e-7), output(4)) < 1e-5)
    let steps = stride(from: 3.0, through: 4, by: 0.125).map(output)
    let whole = distance(steps[0], steps[8])
    for (a, b) in zip(steps, steps.dropFirst()) {
      #expect((1e-4..<0.5 * whole).contains(distance(a, b)))
    }
  }

  @Test(
    "A vector's product with the Jacobian agrees with finite differences, image by image",
    arguments: DenoiserSettings.Kind.learned, [true, false])
  func vectorJacobianProduct(kind: DenoiserSettings.Kind, conditional: Bool) throws {
    let configuration = try small(conditional ? [] : ["diffusion.formulation=none"])
    let network = kind.network.init(
      configuration, shape: ImageShape(height: 8, width: 4, channels: 2)
    )
    .shaken(0.1).prepared(training: true)
    let (x, v) = (normal(3, 64, seed: 1), normal(3, 64, seed: 2))
    let condition = Condition(image: conditional ? normal(3, 64, seed: 3) : nil)
    for timestep in [0, 31.25, 49] {
      let (output, product) = network.vectorJacobianProduct(
        v, at: x, condition: condition, timestep: timestep)
      let predicted = network.predict(x, condition: condition, timestep: timestep)
      #expect(distance(output, predicted) < 1e-5)
      let norms = Matrix.dots(product, product).map { $0.squareRoot() }
      // Along the product itself, where the slope is its norm, and in some other direction.
      for var direction in [product, normal(3, 64, seed: 4)] {
        let lengths = Matrix.dots(direction, direction).map { Float(1 / $0.squareRoot()) }
        direction.scaleRows(lengths, adding: [0, 0, 0], direction)
        let ends = [1e-2, -1e-2].map {
          network.predict(
            .combine(1, x, $0, direction), condition: condition, timestep: timestep)
        }
        let slopes = Matrix.dots(v, .combine(50, ends[0], -50, ends[1]))
        for (image, found) in Matrix.dots(product, direction).enumerated() {
          #expect(
            abs(found - slopes[image]) < 3e-3 * norms[image],
            "t = \(timestep), image \(image): expected \(slopes[image]), found \(found)")
        }
      }
    }
  }
}
