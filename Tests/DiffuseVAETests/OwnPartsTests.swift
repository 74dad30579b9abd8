import Diffusion
import Formats
import Neural
import Testing

@testable import DiffuseVAE

@Suite("Data, samplers and denoisers of the user's own")
struct OwnPartsTests {
  @Test("A set from memory is the same as that from files")
  func data() throws {
    let digits = try Dataset(DataSettings())
    let test = try #require(digits.test)
    let own = try Dataset(
      name: "own", shape: digits.shape, training: digits.trainingPixels(0..<1500),
      labels: digits.training.labels(0..<1500), test: test.pixels(0..<297))
    #expect(own.training == digits.training && own.fingerprint() == digits.fingerprint())
    #expect(own.test?.bytes == test.bytes && own.test?.labels == nil)
  }

  @Test("What is no set of images is refused in a sentence")
  func refusals() throws {
    let shape = ImageShape(height: 1, width: 2, channels: 1)
    func problem(_ numbers: Matrix, labels: [Int]? = nil, _ shape: ImageShape) -> String {
      DiffuseVAETests.problem {
        try Dataset(name: "mine", shape: shape, training: numbers, labels: labels)
      }
    }
    let two = ImageShape(height: 1, width: 1, channels: 2)
    #expect(problem(Matrix(1, 2), two).contains("mine: images are 1x1x2; they must have"))
    #expect(problem(Matrix(0, 2), shape).contains("training images: are 0 by 2 numbers"))
    #expect(problem(Matrix(2, 3), shape).contains("expected a row of 2 for each image"))
    for value: Float in [-0.1, 1.1, .nan, .infinity] {
      #expect(problem(Matrix(1, 2, [0, value]), shape).contains("must be in [0, 1]"))
    }
    #expect(problem(Matrix(1, 2), labels: [], shape).contains("need 1 labels in 0...255"))
    #expect(problem(Matrix(1, 2), labels: [256], shape).contains("need 1 labels in 0...255"))
    let held = DiffuseVAETests.problem {
      try Dataset(name: "mine", shape: shape, training: Matrix(1, 2), test: Matrix(1, 3))
    }
    #expect(held.contains("mine, test images: are 1 by 3 numbers"))
  }

  @Test("A network that is trained in memory is that of a run, and an own sampler draws from it")
  func trainingAndSampling() throws {
    let configuration = try small("sampling.sampler=ddpm")
    let data = try Dataset(configuration.data)
    try inTemporaryFolder { runs in
      let whole = try Model(of: trainedRun(in: runs, configuration))
      var losses: [Double] = []
      let own = try Model(
        training: MLPDenoiser(configuration, shape: data.shape), configuration, on: data,
        first: whole, threads: 2
      ) { step, loss in
        #expect(step == losses.count + 1)
        losses.append(loss)
      }
      #expect(losses.count == 12 && losses.allSatisfy(\.isFinite))
      let options = SamplingOptions(configuration.sampling, threads: 2)
      let expected = try Generator(whole, options).images(0..<5)
      let generator = try Generator(own, options)
      #expect(try generator.images(0..<5) == expected)
      let drawn = try generator.images(0..<5) { start, levels, denoise, noise in
        try ancestral(
          from: start, through: levels, variance: .small, uncertainty: { _ in 0 },
          denoise: denoise, noise: noise)
      }
      #expect(drawn == expected)
      let refusal = problem { try generator.images(0..<1) { _, _, _, _ in Matrix(1, 1) } }
      #expect(refusal.contains("must be 128 by 64 finite numbers"))
      #expect(
        problem {
          try Model(
            training: MLPDenoiser(configuration, shape: data.shape), configuration, on: data,
            threads: 2)
        } == "formulation concat needs a first stage of images of 8x8x1")
      var wrong = configuration
      wrong.diffusion.steps = 1
      #expect(
        problem {
          try Model(
            training: MLPDenoiser(configuration, shape: data.shape), wrong, on: data, first: whole,
            threads: 2)
        }.contains("diffusion.steps"))
    }
  }
}
