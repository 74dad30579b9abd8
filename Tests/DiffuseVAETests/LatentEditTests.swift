import Formats
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct LatentEditTests {
  /// Of the built-in digits, untrained.
  private func model() throws -> Model {
    let configuration = try small()
    return try Model(
      configuration, shape: ImageShape(height: 8, width: 8, channels: 1),
      vae: VAE(configuration.vae, pixels: 64, seed: 1).shaken(0.2), denoiser: nil)
  }

  @Test("Plus and minus are means of latents, their difference times the strength")
  func means() throws {
    let model = try model()
    let vae = try #require(model.vae)
    let data = try Dataset(model.configuration.data)
    let labels = try #require(data.training.labels)
    func mean(_ label: Int) -> [Float] {
      let numbers = labels.indices.filter { Int(labels[$0]) == label }
      let z = vae.encode(data.training.pixels(numbers), labels: nil).mean
      return (0..<z.columns).map { column in
        numbers.indices.reduce(0) { $0 + z[$1, column] } / Float(numbers.count)
      }
    }
    var edit = LatentEdit()
    (edit.plus, edit.minus, edit.strength) = ([.label(3)], [.label(7)], 1.5)
    let direction = try model.direction(of: edit, threads: 2)
    for (found, (plus, minus)) in zip(direction.elements, zip(mean(3), mean(7))) {
      #expect(abs(found - 1.5 * (plus - minus)) < 1e-4)
    }
    edit.minus = [.label(3)]
    #expect(try model.direction(of: edit, threads: 1).elements.allSatisfy { abs($0) < 1e-6 })
    edit.plus = [.label(10)]
    #expect(
      problem { try model.direction(of: edit, threads: 1) }
        == "digits has no training image of class 10")
    edit.strength = .nan
    #expect(problem { try model.direction(of: edit, threads: 1) }.contains("finite"))
  }

  @Test("A probe points across the plane between classes, as far as the points deviate along it")
  func probe() throws {
    // Two heaps along the second axis, at -2 and 2, with no other difference; the fourth latent
    // carries nothing. Posteriors have unit variance.
    let z = RandomStream(seed: 5, purpose: .component).normal(rows: Array(0..<4000), columns: 4)
    var posteriors = Matrix(4000, 8)
    for row in 0..<4000 {
      for column in 0..<3 { posteriors[row, column] = z[row, column] }
      posteriors[row, 1] += row % 2 == 0 ? 2 : -2
      posteriors[row, 3] = 0.01 * z[row, 3]
    }
    let gaussians = DiagonalGaussian(posteriors)
    let direction = try gaussians.probe((0..<4000).map { $0 % 2 == 0 }).elements
    // The variance of both heaps together is 1 + 4.
    #expect(abs(direction[1] - Float(5).squareRoot()) < 0.05, "\(direction)")
    // Four standard errors of what logistic regression finds: few points lie near the plane.
    #expect(abs(direction[0]) < 0.25 && abs(direction[2]) < 0.25, "\(direction)")
    #expect(direction[3] == 0)
    #expect(
      problem { try gaussians.probe([Bool](repeating: true, count: 4000)) }.contains("both classes")
    )
  }

  @Test("Images that share z differ by noise alone, and the other way round; moving adds to z")
  func sharing() throws {
    let generator = try DiffuseVAETests.generator(shakenModel())
    let drafts = try generator.drafts([3, 4, 5])
    for (draft, own) in zip(drafts.sharingZ(), drafts) {
      #expect(draft.z == drafts[0].z && draft.start == own.start && draft.noise == own.noise)
    }
    for (draft, own) in zip(drafts.sharingNoise(), drafts) {
      #expect(draft.z == own.z && draft.start == drafts[0].start && draft.noise == 3)
      // Each keeps its row: their images are computed together.
      #expect(draft.number == own.number)
    }
    let z = try #require(drafts[1].z)
    let direction = Matrix(1, z.columns, (0..<z.columns).map { Float($0) })
    let moved = try #require(drafts.moved(by: direction)[1].z)
    for i in 0..<z.columns { #expect(moved[0, i] == z[0, i] + Float(i)) }
    // A stochastic sampler's noise is shared, too.
    let stochastic = try DiffuseVAETests.generator(shakenModel()) { $0.sampler = .ddpm }
    let alike = try stochastic.drafts([3, 4]).sharingZ().sharingNoise()
    let images = try stochastic.refine(alike)
    #expect(distance(images.rows(0..<1), images.rows(1..<2)) < 1e-4)
  }

  @Test("The temperature of noise scales y_T; at 0 it is nothing")
  func noiseTemperature() throws {
    let plain = try generator(shakenModel()).drafts([2])[0]
    let half = try generator(shakenModel()) { $0.noiseTemperature = 0.5 }.drafts([2])[0]
    let none = try generator(shakenModel()) { $0.noiseTemperature = 0 }.drafts([2])[0]
    #expect(half.start == plain.start.affine(0.5, 0) && half.z == plain.z)
    #expect(none.start.elements.allSatisfy { $0 == 0 })
    #expect(
      problem { try generator(shakenModel()) { $0.noiseTemperature = -1 } }
        == "noise temperature is -1.0; it must be a number from 0 up")
  }

  @Test("A traversal moves one latent from -3 to 3")
  func traversal() throws {
    let generator = try DiffuseVAETests.generator(shakenModel())
    let z = try #require(generator.drafts([6])[0].z)
    let paths = try generator.traversals(of: .sample(6), latents: [0, 2], inverting: false)
    for (path, latent) in zip(paths, [0, 2]) {
      for (draft, value) in zip(path, [Float(-3), 3]) {
        var expected = z
        expected[0, latent] = value
        #expect(draft.z == expected)
      }
    }
    #expect(
      problem { try generator.traversals(of: .sample(6), latents: [99], inverting: false) }
        .contains("there is no latent 99"))
  }
}
