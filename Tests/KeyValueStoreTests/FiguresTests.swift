import Testing

@testable import KeyValueStore

@Suite struct FiguresTests {
  /// As RocksDB 7.8 prints it.
  @Test func theTableOfLevelsIsReadByItsNames() throws {
    let table = """
      ** Compaction Stats [chunks] **
      Level    Files   Size     Score Read(GB)  Rn(GB) Rnp1(GB) Write(GB) Wnew(GB) Moved(GB) W-Amp Rd(MB/s) Wr(MB/s)
      ---------------------------------------------------------------------------------------------------------------
        L0      2/0   13.05 KB   0.5      0.0     0.0      0.0       0.5      0.0       0.0   1.0      0.0      0.1
       Sum      2/0   13.05 KB   0.0      0.5     0.0      0.0       1.5      0.0       0.0   3.0      0.0      0.1
       Int      0/0    0.00 KB   0.0      0.0     0.0      0.0       0.0      0.0       0.0   1.0      0.0      0.1
      """
    let writing = try #require(FamilyWriting(table: table))
    #expect(writing.amplification == 3 && writing.bytes == 1.5 * Double(1 << 30))
    for wrong in ["", "Sum 1", "W-Amp Write(GB)\n Sum 1 2 3", "Level Size W-Amp Write(GB)\n Sum x y z q"] {
      #expect(FamilyWriting(table: wrong) == nil)
    }
  }

  @Test func anOpenStoreHasFigures() throws {
    let folder = try Folder()
    let store = try Store.open(path: folder.entry("store"), families: [FamilySpec("rows")])
    defer { store.close() }
    let family = try store.family("rows")
    let batch = WriteBatch(for: store)
    for index in UInt8(0)..<200 { batch.put(family, key: [index], value: [index, 1, 2, 3]) }
    try store.write(batch, sync: false)
    try store.flush(family)
    #expect(try #require(try store.writing(family)).amplification == 1)
  }
}
