import Foundation
import Testing

/// Imports go down the table, never up and never sideways. SwiftPM refuses cycles, but not an import that arrives
/// through a dependency's own dependency.
@Suite struct ImportMapTests {
  private struct Line: CustomStringConvertible {
    let path: String
    let room: String
    let use: Import
    var description: String { "\(path) imports \(use.module)" }
  }

  private func imports(below top: String) -> [Line] {
    House.built.below(top).filter(\.isSwift).flatMap { text in
      text.lines.compactMap { Import(line: $0) }.map { Line(path: text.path, room: text.room, use: $0) }
    }
  }

  @Test func importLinesAreRecognised() {
    #expect(Import(line: "import VitalModel")?.module == "VitalModel")
    #expect(Import(line: "@preconcurrency import CCurl")?.module == "CCurl")
    #expect(Import(line: "  package import struct VitalModel.Slot // why")?.module == "VitalModel")
    #expect(Import(line: "@testable import Delivery")?.isTestable == true)
    #expect(Import(line: "/// import nothing") == nil)
    #expect(Import(line: "important()") == nil)
    #expect(imports(below: "Sources").count > 100)
  }

  @Test func everyRoomHasItsPlaceInTheTable() {
    let found = Set(House.built.below("Sources").map(\.room))
    #expect(found == Set(HouseMap.rooms).union(HouseMap.doors.keys))
    #expect(Set(HouseMap.rooms).count == HouseMap.rooms.count)
  }

  @Test func nothingImportsUpwardsOrSideways() throws {
    for line in imports(below: "Sources") {
      guard let other = HouseMap.layer(of: line.use.module) else { continue }
      let own = try #require(HouseMap.layer(of: line.room), "\(line.path)")
      #expect(other < own, "\(line)")
    }
  }

  @Test func eachCDoorIsOpenedByOneRoom() {
    for line in imports(below: "Sources") {
      guard let owner = HouseMap.doors[line.use.module] else { continue }
      #expect(line.room == owner, "\(line)")
    }
    let opened = Set(imports(below: "Sources").map(\.use.module))
    for door in HouseMap.doors.keys.sorted() { #expect(opened.contains(door), "nobody opens \(door)") }
  }

  @Test func foundationIsForColdRooms() {
    for line in imports(below: "Sources") where line.use.module.hasPrefix("Foundation") {
      #expect(HouseMap.foundationRooms.contains(line.room), "\(line)")
    }
  }

  @Test func everyImportIsKnown() {
    for line in imports(below: "Sources") {
      let module = line.use.module
      let isKnown =
        HouseMap.layer(of: module) != nil || HouseMap.doors[module] != nil || HouseMap.toolchain.contains(module)
        || module == "Foundation"
      #expect(isKnown, "\(line)")
    }
  }

  @Test func testsUseWhatOtherRoomsUse() {
    for line in imports(below: "Tests") + imports(below: "Benchmarks") {
      // What a test needs is `package`; @testable would let it lean on what a room keeps to itself.
      if line.use.isTestable { #expect(line.room == line.use.module + "Tests", "\(line) @testable") }
      guard HouseMap.doors[line.use.module] != nil else { continue }
      #expect(HouseMap.doorsOfTests[line.room]?.contains(line.use.module) == true, "\(line)")
    }
  }

  @Test func thePackageDeclaresOnlyWhatTheTableAllows() throws {
    var declared: Set<String> = []
    let manifest = House.built.text("Package.swift").filter { !$0.isWhitespace }
    for piece in manifest.components(separatedBy: "room(").dropFirst() where piece.hasPrefix("\"") {
      let names = piece.prefix { $0 != ")" }.split(separator: "\"").map(String.init).filter {
        $0.first?.isLetter == true
      }
      let room = try #require(names.first)
      let own = try #require(HouseMap.layer(of: room), "\(room)")
      declared.insert(room)
      for dependency in names.dropFirst() {
        if let owner = HouseMap.doors[dependency] {
          #expect(owner == room, "\(room) depends on \(dependency)")
        } else {
          let other = try #require(HouseMap.layer(of: dependency), "\(room) depends on \(dependency)")
          #expect(other < own, "\(room) depends on \(dependency)")
        }
      }
    }
    #expect(declared == Set(HouseMap.rooms).subtracting(["vigil"]))
  }

  @Test func eachRoomHasTestsBesideIt() {
    let found = Set(House.built.below("Tests").map(\.room))
    for room in HouseMap.rooms where room != "vigil" {
      #expect(found.contains(room + "Tests"), "Tests/\(room)Tests is missing")
    }
  }
}
