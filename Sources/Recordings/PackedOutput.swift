import Compression

/// Bytes to a new file, packed as its name says: `.gz`, `.zst`, else plain.
package final class PackedOutput {
  /// Bytes gathered before they are packed together.
  static let blockSize = 1 << 20

  private let output: RecordingOutput
  private let name: String
  private let packing: Packing
  private let zstd: ZstdCompressor?
  private var waiting: [UInt8] = []
  private var hasWritten = false

  /// Makes or replaces the file at `path` as ``RecordingOutput`` does; `-` is standard output, plain.
  package init(path: String) throws(RecordingError) {
    packing = Packing.of(name: path) ?? .plain
    name = path
    do { zstd = packing == .zstd ? try ZstdCompressor() : nil } catch {
      throw RecordingError(error, file: path, line: 0)
    }
    output = try RecordingOutput(path: path)
  }

  package func write(_ bytes: [UInt8]) throws(RecordingError) {
    waiting += bytes
    if waiting.count >= PackedOutput.blockSize { try flush() }
  }

  /// Writes what waits and puts the file in its place. To be called once, at the end.
  package func finish() throws(RecordingError) {
    if !waiting.isEmpty || !hasWritten { try flush() }
    try output.finish()
  }

  private func flush() throws(RecordingError) {
    defer { waiting.removeAll(keepingCapacity: true) }
    hasWritten = true
    let packed: [UInt8]
    do {
      switch packing {
      case .plain: packed = waiting
      case .gzip: packed = try GzipCompressor().compress(waiting)
      case .zstd: packed = try zstd?.compress(waiting) ?? waiting
      }
    } catch {
      throw RecordingError(error, file: name, line: 0)
    }
    try output.write(packed)
  }
}
