// Train on your own arrays: images from memory, both stages, new images. (swift run OwnArrays)
import DiffuseVAE
import Foundation
import Neural

// The data, made up: 8 by 8 pixels, black but for one bright row or column. Image `i` is a row of 64
// numbers in [0, 1].
let patterns = (0..<16).map { bar in
  (0..<64).map { pixel in (bar < 8 ? pixel / 8 : 8 + pixel % 8) == bar ? Float(0.9) : 0.1 }
}
let images = Matrix(1600, 64, (0..<1600).flatMap { patterns[$0 % 16] })
let shape = ImageShape(height: 8, width: 8, channels: 1)

// What to train, and how: every setting of docs/configuration.md is a property.
var configuration = Configuration()
configuration.data.set = "bars"  // Only a name here.
configuration.vae.hidden = [64]
configuration.vae.latent = 8
configuration.prior.components = [16]
configuration.prior.covariance = .diagonal
(configuration.denoiser.width, configuration.denoiser.blocks) = (128, 2)
(configuration.denoiser.features, configuration.denoiser.embedding) = (32, 32)
(configuration.training.vae.batch, configuration.training.vae.epochs) = (100, 60)
(configuration.training.denoiser.batch, configuration.training.denoiser.epochs) = (100, 40)
configuration.training.grids = 0

// Sets the process up for threads, and sends messages to stderr.
let threads = Session.cores
let logger = try Session.begin("OwnArrays", threads: threads)

// A training lives in a folder, from which it can go on when it was interrupted.
let runs = FileManager.default.temporaryDirectory.path + "/own-arrays-\(UUID().uuidString)"
let run = try Run.create(in: runs, name: nil, stem: "bars", configuration)
let data = try Dataset(name: "bars", shape: shape, training: images)
let training = Training(run, configuration, data: data, threads: threads, logger: logger)
_ = try training.train(configuration.stages)

// What the run's folder holds is all that sampling needs.
let model = try Model(of: run)
let options = SamplingOptions(configuration.sampling, threads: threads)
let drawn = try Generator(model, options).images(0..<64)
try FileManager.default.removeItem(atPath: runs)

// Nearly all that it draws must be one of the 16 patterns, and no pattern be drawn all the time.
let nearest = (0..<64).map { image in
  let distances = patterns.map { pattern in
    (0..<64).map { abs(drawn[image, $0] - pattern[$0]) }.reduce(0, +) / 64
  }
  return distances.enumerated().min { $0.element < $1.element } ?? (0, 1)
}
let bars = nearest.filter { $0.element < 0.1 }
let kinds = Set(bars.map(\.offset)).count
print("\(bars.count) of 64 images are bars, of \(kinds) kinds")
guard bars.count >= 48, kinds >= 8 else { exit(1) }
