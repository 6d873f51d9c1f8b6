import ChunkCoding
import Testing
import VitalModel

/// Chunks to the byte: what is on disk must stay readable, and every processor must write the same.
@Suite struct GoldenChunkTests {
  private let sheet = PlainCodecTests()

  private func check(_ rows: ChunkRows, _ states: StartStates, _ golden: String) throws {
    let codec = try ModelledCodec(states: states, names: ModelledCodecTests.vital)
    let bytes = try codec.encode(rows)
    #expect(sheet.hex(bytes) == golden)
    #expect(try sheet.unhex(golden).withUnsafeBytes { try ChunkDecoder().decode($0) } == rows)
  }

  /// As drawn in `docs/formats/chunk.md`.
  @Test func theChunkOfTheFormatPage() throws {
    let slots = [
      sampleSlot(code: 0, time: 1_700_000_000_000, mantissa: 72, sequence: 5),
      sampleSlot(code: 1, time: 1_700_000_000_000, mantissa: 365, exponent: -1, sequence: 5, flags: .endOfMessage),
      sampleSlot(code: 0, time: 1_700_000_001_000, mantissa: 74, sequence: 6),
      sampleSlot(code: 0, time: 1_700_000_002_000, mantissa: 73, sequence: 7, quality: 9_000),
    ]
    try check(
      rows(of: slots, firstPosition: 300), .untrained,
      """
      02 02 8f 26 80 94 5e 7f 2b 40 02 03 e8 40 4b 20 0f 40 11 09 97 0c 3b e8 3f e6 b5 20 8a 10 84 39 00 05 0a 02 50 00 \
      12 01 ff ff 03 ff ff 03 a8 46 40 10 60 70 b0 65 69 2d 09
      """)
  }

  @Test func steadyVitalsFromTheBuiltInSet() throws {
    try check(
      ModelledCodecTests().steadyRows(60), .builtIn,
      """
      02 02 43 49 a3 b5 17 9f ca d0 00 9c cf 01 04 24 04 57 d1 00 44 13 2a 4e 00 a1 4f 22 c0 7f cd 7a d6 fc 04 02 \
      82 69 a8 95 84 21 08 40 d4 83 9b d0 cc 05 ef 93 b5 eb eb a5 78 33 cc 74 39 a0 8f 0a 29 e3 50 d8 5b 94 b3 63 \
      80 4f
      """)
  }

  /// Stamps and delays that scatter, a gap, a column with gaps, digits stripped and listed.
  @Test func awkwardRows() throws {
    var generator = SplitMix64(state: 21)
    var rows = ModelledCodecTests().steadyRows(40)
    for index in rows.times.indices { rows.times[index] += Int64(index / 20 * 7000) + generator.bell(6) }
    for index in 0..<40 {
      let delay = 30 + generator.bell(9)
      for column in rows.columns.indices {
        rows.columns[column].cells[index].ingestTime = rows.times[index] + delay
        rows.columns[column].cells[index].sequence = Int64(index)
      }
      // Few enough that the marks stay without zstd, whose bytes another release may change.
      rows.columns[3].cells[index].exponent = index == 12 ? -2 : 0
    }
    rows.columns[0].rows.removeSubrange(5..<30)
    rows.columns[0].cells.removeSubrange(5..<30)
    for index in rows.columns[2].cells.indices where rows.columns[2].cells[index].mantissa % 10 == 0 {
      rows.columns[2].cells[index].mantissa /= 10
      rows.columns[2].cells[index].exponent = 0
    }
    try check(
      rows, .untrained,
      """
      02 02 43 49 a2 75 17 9f ca cf f6 96 75 e1 04 24 04 57 d1 0f 01 10 f1 3a 00 a1 44 44 48 0f f9 b0 5a 90 80 ff \
      06 1c 00 5d 00 d1 73 3b d7 00 88 42 18 84 22 10 ce 0d 00 02 00 00 00 00 0d 55 75 5e 72 4f 5f ee 52 b8 50 ed \
      d0 3d 28 74 d7 93 54 16 4e e6 17 1a 12 6b c7 26 bf 19 96 9d 6d c1 55 cd 5a 7c 61 42 72 36 77 a3 9e 99 6c 6c \
      07 fb 42 3d 7e c0 24 f9 7d 45 c9 0a a2 b7 71 07 f4 36 fb 8e c1 6c b5 38 4f 3d 4f 7a 25 87 5b ff 4e cf db 47 \
      5a 1a 46 03 ae 16 d2
      """)
  }

  @Test func oneRow() throws {
    try check(
      ModelledCodecTests().steadyRows(1), .untrained,
      """
      02 02 43 49 a0 05 17 9f ca d0 00 80 00 01 04 24 04 57 d1 00 44 24 80 28 12 40 7f cd 82 48 08 04 f4 80 88 08 21 08 \
      40 6b 5a b0 4f 3d 44 d6
      """)
  }
}
