import DiffuseVAE
import Formats
import Neural

/// Paths from image to image of a model, through z or through y_T, whose frames are compared with the
/// first one's: its class, its pixels, and its code, the mean of q(z|x).
struct Walks {
  static let spaces: [InterpolationSpace] = [.z, .xT]

  /// Of a path, both ends included; the first is what the others are compared with.
  private static let frames = 10

  private let pairs: [[Draft]]
  private let generator: Generator
  private let vae: VAE
  /// The first frame of every path.
  private let firsts: Matrix
  private let codes: Matrix
  /// How far first frames are from one another, in pixels and in codes, on average.
  private let distances: (pixels: Double, codes: Double)
  /// The class that the classifier takes each path's first frame for, for each frame that follows.
  let classes: [Int]

  /// - Parameter classify: the probabilities of the classes of images.
  /// - Throws: ``UserError`` without a VAE.
  init(
    _ count: Int, _ model: Model, _ generator: Generator, classify: (ByteImages) throws -> Matrix?
  ) throws {
    guard let vae = model.vae else { throw UserError("formulation none has no z to walk through") }
    pairs = try generator.pairs(count)
    firsts = try generator.refine(pairs.map { $0[0] })
    guard let probabilities = try classify(ByteImages(firsts, shape: model.shape)) else {
      throw UserError("a path keeps its class by a classifier's word: train one with --fit")
    }
    classes = (0..<count).flatMap { path in
      let likeliest =
        (0..<probabilities.columns).max { probabilities[path, $0] < probabilities[path, $1] } ?? 0
      return [Int](repeating: likeliest, count: Self.frames - 1)
    }
    codes = vae.encode(firsts, labels: nil).mean
    let others = (0..<count).map { ($0 + 1) % count }
    distances = (
      meanDistance(firsts, firsts.rows(at: others)), meanDistance(codes, codes.rows(at: others))
    )
    (self.generator, self.vae) = (generator, vae)
  }

  /// All frames but the first of every path, one path after the other, `[paths · 9, pixels]`.
  func images(through space: InterpolationSpace) throws -> Matrix {
    let interpolation = try Interpolation(space, mode: nil, frames: Self.frames)
    let all = try generator.interpolate(interpolation, through: pairs).frames
    return all.rows(at: (0..<all.rows).filter { $0 % Self.frames > 0 })
  }

  /// How far frames are from their path's first one, over how far first ones are from one another.
  func moved(_ frames: Matrix) -> (pixels: Double, code: Double) {
    let starts = (0..<frames.rows).map { $0 / (Self.frames - 1) }
    let found = vae.encode(frames, labels: nil).mean
    return (
      meanDistance(frames, firsts.rows(at: starts)) / distances.pixels,
      meanDistance(found, codes.rows(at: starts)) / distances.codes
    )
  }
}

/// The mean Euclidean distance of rows.
func meanDistance(_ a: Matrix, _ b: Matrix) -> Double {
  var difference = a
  difference.add(-1, b)
  let distances = (0..<a.rows).map {
    difference.rows($0..<$0 + 1).squaredNorm.squareRoot()
  }
  return sampleMean(distances).mean
}

extension EvaluationRequest {
  /// Refuses paths that cannot be walked.
  func checkPaths(_ model: Model) throws {
    guard let paths else { return }
    guard (2...100_000).contains(paths) else {
      throw UserError("--paths is \(paths); it must be in 2...100000")
    }
    guard model.vae != nil else { throw UserError("--paths lead through the latents of a VAE") }
    guard model.configuration.classes == 0 else {
      throw UserError("--paths are of models that are not told the class")
    }
  }
}
