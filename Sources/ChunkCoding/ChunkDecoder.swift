/// Decodes chunks of every codec this build has, by the number in their header.
///
/// Not for use from two threads at once.
package final class ChunkDecoder {
  private let plain: PlainCodec

  /// - Throws: `.outOfMemory`.
  package init() throws(ChunkError) { plain = try PlainCodec() }

  /// - Throws: `.unknownCodec` beside the errors of the codec itself.
  package func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> ChunkRows {
    guard bytes.count >= 2 else { throw .truncated }
    switch bytes[1] {
    case PlainCodec.id: return try plain.decode(bytes)
    default: throw .unknownCodec(bytes[1])
    }
  }
}
