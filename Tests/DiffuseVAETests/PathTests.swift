import Neural
import Testing

@testable import DiffuseVAE

@Suite struct PathTests {
  @Test(
    "A path's first frame is the image that sampling draws, bit for bit; its last the other end's",
    arguments: InterpolationSpace.allCases, ["ddim", "ddpm"])
  func ends(space: InterpolationSpace, sampler: String) throws {
    let generator = try generator(shakenModel("sampling.sampler=\(sampler)"))
    let interpolation = try Interpolation(space, mode: nil, frames: 7)
    let (frames, reconstructions) = try generator.interpolate(
      interpolation, through: generator.pairs(3))
    #expect(frames.rows == 21 && reconstructions?.rows == 21)
    let drafts = try generator.drafts(Array(0..<6))
    for pair in 0..<3 {
      let (a, b) = (drafts[2 * pair], drafts[2 * pair + 1])
      #expect(
        frames.rows(7 * pair..<7 * pair + 1) == (try generator.images(2 * pair..<2 * pair + 1)))
      let last = Draft(
        z: space == .xT ? a.z : b.z, start: space == .z ? a.start : b.start, noise: a.noise,
        number: a.number)
      #expect(frames.rows(7 * pair + 6..<7 * pair + 7) == (try generator.refine([last])))
    }
  }

  @Test("Frames of a z path share y_T and noise; frames of an xT path share z and keep the norm")
  func shared() throws {
    let generator = try generator(shakenModel())
    let drafts = try generator.drafts([0, 1])
    let (a, b) = (drafts[0], drafts[1])
    for draft in try Interpolation(.z, mode: nil, frames: 5).path(through: [a, b]) {
      #expect(draft.start == a.start && draft.noise == a.noise)
    }
    let middle = try Interpolation(.z, mode: nil, frames: 5).path(through: [a, b])[2].z
    let expected = Matrix.combine(0.5, try #require(a.z), 0.5, try #require(b.z))
    #expect(distance(try #require(middle), expected) < 1e-6)
    let norm = a.start.squaredNorm.squareRoot()
    let path = try Interpolation(.xT, mode: nil, frames: 5).path(through: [a, b])
    for draft in path {
      #expect(draft.z == a.z && draft.noise == a.noise)
      let share = b.start.squaredNorm.squareRoot() / norm
      #expect(
        (min(1, share) - 0.01...max(1, share) + 0.01).contains(
          draft.start.squaredNorm.squareRoot() / norm))
    }
    #expect(problem { try Interpolation(.z, mode: nil, frames: 1) }.contains("2...1000"))
  }

  @Test(
    "A path meets each of its images, bit for bit, and none twice",
    arguments: InterpolationSpace.allCases)
  func stops(space: InterpolationSpace) throws {
    let generator = try generator(shakenModel())
    let stops = try generator.drafts([4, 9, 2])
    let path = try Interpolation(space, mode: nil, frames: 4).path(through: stops)
    #expect(path.count == 7)
    for (place, stop) in zip([0, 3, 6], stops) {
      #expect(path[place].z == (space == .xT ? stops[0].z : stop.z))
      #expect(path[place].start == (space == .z ? stops[0].start : stop.start))
    }
    for (a, b) in zip(path, path.dropFirst()) { #expect(a.z != b.z || a.start != b.start) }
  }

  @Test("Samples named as anchors are those of the seed, a path's next ones in the next path")
  func anchors() throws {
    let generator = try generator(shakenModel())
    let paths = try generator.paths(2, through: [.sample(5), .sample(0)], inverting: false)
    for (path, numbers) in zip(paths, [[5, 0], [6, 1]]) {
      for (draft, expected) in zip(path, try generator.drafts(numbers)) {
        #expect(draft.z == expected.z && draft.start == expected.start)
      }
    }
    #expect(
      problem { try generator.paths(1, through: [.sample(5)], inverting: false) }
        .contains("two images or more"))
    let draft = try generator.drafts([1])[0]
    for space in InterpolationSpace.allCases {
      #expect(
        problem {
          try generator.interpolate(
            Interpolation(space, mode: nil, frames: 3), through: [[draft, draft]])
        }.contains("do not differ"))
    }
  }

  @Test("How users name what a path leads through")
  func anchorNames() {
    #expect(Anchor("sample:3") == .sample(3))
    #expect(Anchor("dataset:7") == .images(.dataset(first: 7)))
    #expect(Anchor("z:a.npy") == .latents("a.npy"))
    #expect(Anchor("a/b.png") == .images(.files("a/b.png")))
    for name in [
      "", "z:", "sample:", "sample:-1", "sample:x", "dataset:", "dataset:-1", "dataset:1.5",
    ] {
      #expect(Anchor(name) == nil, "\(name)")
    }
    #expect(Anchor("sample:99999999999999999999") == nil)
  }

  @Test("Steps between frames: Euclidean, and none from path to path")
  func stepsBetween() {
    let frames = Matrix(6, 2, [0, 0, 3, 4, 3, 4, 9, 9, 9, 8, 8, 8])
    #expect(stepLengths(frames, length: 3) == [5, 0, 1, 1])
  }
}
