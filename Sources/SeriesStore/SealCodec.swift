import ChunkCoding
import KeyValueStore

/// The one place that says how this store's chunks are packed and unpacked.
struct SealCodec: Sendable {
  /// - Parameter store: where start states of the codec live.
  init(_ store: Store) {}

  /// A packer for one round of sealing or merging; not for use from two threads at once.
  func makeEncoder() throws(SeriesError) -> any ChunkCodec {
    try decoding { () throws(ChunkError) in try PlainCodec() }
  }

  /// An unpacker of every codec this build has; not for use from two threads at once.
  func makeDecoder() throws(SeriesError) -> ChunkDecoder {
    try decoding { () throws(ChunkError) in try ChunkDecoder() }
  }
}
