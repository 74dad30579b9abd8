import Formats
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct BinarisationTests {
  typealias Binarisation = VAESettings.Binarisation

  /// Images of one grey level each: number `i` has `levels[i % levels.count]`.
  private func slice(
    _ images: Range<Int>, levels: [Float], pixels: Int = 300, rows: Range<Int>? = nil,
    seed: UInt64 = 5, step: Int = 3, isTraining: Bool = true
  ) -> Slice {
    let grey = images.flatMap { [Float](repeating: levels[$0 % levels.count], count: pixels) }
    return Slice(
      examples: Matrix(images.count, pixels, grey), indices: Array(images), rows: rows ?? images,
      batch: images.count, seed: seed, step: step, isTraining: isTraining)
  }

  @Test(
    "A pixel is white with the probability that is its grey level",
    arguments: [Binarisation.static, .dynamic], [true, false])
  func frequencies(binarisation: Binarisation, isTraining: Bool) {
    let levels: [Float] = [0, 1 / 255, 0.25, 128 / 255, 254 / 255, 1]
    let images = binarisation.images(of: slice(0..<600, levels: levels, isTraining: isTraining))
    #expect(images.elements.allSatisfy { $0 == 0 || $0 == 1 })
    for (place, level) in levels.enumerated() {
      let whites = stride(from: place, to: 600, by: levels.count)
        .reduce(0.0) { $0 + Double(images.rows($1..<$1 + 1).elements.reduce(0, +)) }
      let (n, p) = (100.0 * 300, Double(level))
      let error = (p * (1 - p) / n).squareRoot()
      #expect(abs(whites / n - p) <= 4 * error, "\(whites / n), not \(p) ± \(error)")
    }
  }

  @Test("Images are left as they are unless asked for")
  func grey() {
    for isTraining in [true, false] {
      let slice = slice(0..<3, levels: [0.25], isTraining: isTraining)
      #expect(Binarisation.none.images(of: slice) == slice.examples)
    }
  }

  @Test("A static draw is each image's own, whatever the update and the place in the batch")
  func once() {
    func images(_ slice: Slice) -> Matrix { Binarisation.static.images(of: slice) }
    let all = images(slice(0..<40, levels: [0.5]))
    #expect(images(slice(0..<40, levels: [0.5], step: 9)) == all)
    #expect(images(slice(10..<20, levels: [0.5], rows: 3..<13)) == all.rows(10..<20))
    #expect(images(slice(0..<40, levels: [0.5], seed: 6)) != all)
    #expect(all.rows(0..<1) != all.rows(1..<2))
  }

  @Test("A dynamic draw is fresh at every update, and does not depend on how a batch is cut")
  func fresh() {
    func images(_ slice: Slice) -> Matrix { Binarisation.dynamic.images(of: slice) }
    let all = images(slice(0..<40, levels: [0.5]))
    #expect(images(slice(0..<40, levels: [0.5])) == all)
    #expect(images(slice(10..<20, levels: [0.5])) == all.rows(10..<20))
    // Half of the pixels of two draws are equal.
    let other = images(slice(0..<40, levels: [0.5], step: 4))
    let equal = zip(all.elements, other.elements).count { $0 == $1 }
    #expect(abs(Double(equal) / 12_000 - 0.5) < 4 * (0.25 / 12_000).squareRoot())
  }

  @Test("Held-out images are one draw, the same for every seed and step, and for either way")
  func heldOut() {
    func images(_ binarisation: Binarisation, _ images: Range<Int>, seed: UInt64) -> Matrix {
      binarisation.images(of: slice(images, levels: [0.5], seed: seed, step: -1, isTraining: false))
    }
    let all = images(.static, 0..<40, seed: 1)
    #expect(images(.static, 0..<40, seed: 2) == all)
    #expect(images(.dynamic, 10..<20, seed: 3) == all.rows(10..<20))
    #expect(Binarisation.static.images(of: slice(0..<40, levels: [0.5], seed: 0)) != all)
  }

  @Test(
    "The bound of a binarised image is that of the black and white one",
    arguments: [Binarisation.static, .dynamic])
  func bound(binarisation: Binarisation) {
    var settings = VAESettings()
    (settings.hidden, settings.latent) = ([10], 3)
    let vae = VAE(settings, pixels: 300, seed: 1).shaken(0.1)
    let grey = slice(0..<9, levels: [0.1, 0.4, 0.8])
    let black = Slice(
      examples: binarisation.images(of: grey), rows: grey.rows, batch: grey.batch, seed: grey.seed,
      step: grey.step)
    let expected = VAEObjective(settings).forward(vae, black).terms
    #expect(VAEObjective(settings).forward(vae, grey).terms != expected)
    settings.binarise = binarisation
    #expect(VAEObjective(settings).forward(vae, grey).terms == expected)
  }

  @Test("Pixels that are Gaussian are not drawn, and a configuration without the setting has none")
  func rule() throws {
    #expect(try Configuration(yaml: "vae: {latent: 8}", name: "old").vae.binarise == .none)
    #expect(
      problems("vae: {likelihood: gaussian, binarise: static}") == [
        "a.yaml:1:29: vae.binarise is for likelihood bernoulli only"
      ])
  }
}
