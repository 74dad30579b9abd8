import Neural
import Testing

@testable import DiffuseVAE
@testable import Formats

@Suite struct FilmTests {
  @Test(
    "The way from noise begins with it, has a frame for every question, and ends with the images",
    arguments: ["concat", "centred", "residual"])
  func denoising(formulation: String) throws {
    let configuration = try small("diffusion.formulation=\(formulation)", "sampling.sampler=ddim")
    try inTemporaryFolder { runs in
      let model = try Model(of: trainedRun(in: runs, configuration))
      var options = SamplingOptions(configuration.sampling, threads: 2)
      // Two batches, the second one not full.
      options.batch = 3
      let generator = try Generator(model, options)
      let drafts = try generator.drafts(count: 5)
      let frames = try generator.denoising(drafts)
      #expect(frames.count == 5 + 1)
      #expect(try frames[5] == generator.images(0..<5))
      var start = Matrix.stacked(drafts.map(\.start))
      if formulation != "concat" {
        // Of x̂0 in [0, 1]; in [-1, 1] it is 2 x̂0 - 1.
        start.add(try generator.reconstructions(drafts).affine(2, -1))
      }
      let expected = start.affine(0.5, 0.5).clamped(to: 0...1)
      for (a, b) in zip(frames[0].elements, expected.elements) { #expect(abs(a - b) < 1e-6) }

      options.sampler = .rk45
      let adaptive = try Generator(model, options)
      #expect(problem { try adaptive.denoising(drafts) }.contains("rk45 cannot be made"))
    }
  }

  @Test("A film's first frame is the first of every path, with what the VAE makes of it above")
  func paths() throws {
    let shape = ImageShape(height: 1, width: 2, channels: 1)
    let frames = Matrix(6, 2, (0..<12).map { Float($0) / 255 })
    let reconstructions = frames.affine(1, 100 / 255)
    try inTemporaryFolder { folder in
      let path = folder + "/walk.apng"
      let output = try ImageOutput(path)
      try output.check(count: 1, shape: shape)
      try output.write((frames: frames, reconstructions: reconstructions), frames: 3, shape: shape)
      let film = try File.read(path)
      // Frames 0 and 3 are the first of two paths.
      let first = try PNG.decode(
        ImageGrid.png(
          .stacked([reconstructions.rows(at: [0, 3]), frames.rows(at: [0, 3])]), shape: shape,
          columns: 2), file: "sheet")
      let opening = try PNG.decode(film, file: "film")
      #expect(opening.bytes == first.bytes && opening.width == first.width)

      // Those after it are the second and the third of every path: as a film that begins there.
      let data = { (film: [UInt8]) in
        PNG.chunks(of: film).filter { $0.type == "fdAT" || $0.type == "IDAT" }.map {
          Array($0.content.dropFirst($0.type == "fdAT" ? 4 : 0))
        }
      }
      let shown = data(film)
      for frame in 0..<3 {
        let places = [frame, frame + 3]
        let sheet = try ImageGrid.png(
          .stacked([reconstructions.rows(at: places), frames.rows(at: places)]), shape: shape,
          columns: 2)
        #expect(shown[frame] == data(sheet)[0])
      }

      try output.write(frames, shape: shape)
      let single = try PNG.decode(File.read(path), file: "film")
      let image = try PNG.decode(ImageGrid.png(frames.rows(0..<1), shape: shape), file: "image")
      #expect(single.bytes == image.bytes)
    }
  }
}
