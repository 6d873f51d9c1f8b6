import Foundation
import TestSupport
import Testing

/// Documents that would drift if nothing compared them with the code.
@Suite struct PapersTests {
  private let house = House.built

  @Test func everyFormatPageIsInTheIndexAndEveryEntryHasAPage() {
    let index = house.text("docs/formats/README.md")
    #expect(!index.isEmpty)
    let pages = Set(house.below("docs/formats").map { String($0.path.dropFirst("docs/formats/".count)) })
    for page in pages.sorted() where page != "README.md" {
      #expect(index.contains("(\(page))"), "docs/formats/README.md does not list \(page)")
    }
    for entry in Self.links(in: index) { #expect(pages.contains(entry), "docs/formats/\(entry) is missing") }
  }

  /// Comments point at format pages and decisions by path.
  @Test func everyPaperTheCodeNamesExists() {
    let papers = Set(house.below("docs").map(\.path))
    for text in house.texts where !text.path.hasPrefix("Tests/HouseTests/") {
      for piece in text.content.components(separatedBy: "docs/").dropFirst() {
        let name = piece.prefix { $0.isLetter || $0.isNumber || "-_/.".contains($0) }
        guard name.hasSuffix(".md") else { continue }
        #expect(papers.contains("docs/\(name)"), "\(text.path) names docs/\(name)")
      }
    }
  }

  @Test func linksBetweenPapersLeadSomewhere() {
    let root = URL(fileURLWithPath: RepositoryRoot.path)
    for text in house.texts where text.path.hasSuffix(".md") {
      let folder = root.appendingPathComponent(text.path).deletingLastPathComponent()
      for link in Self.links(in: text.content) {
        let target = folder.appendingPathComponent(link).standardizedFileURL.path
        #expect(FileManager.default.fileExists(atPath: target), "\(text.path) links to \(link)")
      }
    }
  }

  @Test func everyPackageOfTheManifestIsInstalled() {
    let installed = Set(
      house.text("Deploy/packages.txt").split(separator: "\n")
        .map { $0.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty })
    let manifest = house.text("Package.swift")
    let wanted = Self.arguments("apt: \"", in: manifest)
    #expect(wanted.count >= 7)
    for package in wanted { #expect(installed.contains(package), "Deploy/packages.txt lacks \(package)") }
    for library in Self.arguments("linkedLibrary(\"", in: manifest) {
      guard let package = HouseMap.packagesOfLinkedLibraries[library] else {
        Issue.record("no Debian package is known for \(library)")
        continue
      }
      #expect(installed.contains(package), "Deploy/packages.txt lacks \(package)")
    }
  }

  @Test func everyRoomIsInTheArchitecture() throws {
    let page = house.text("docs/ARCHITECTURE.md")
    for room in HouseMap.rooms + HouseMap.doors.keys.sorted() {
      #expect(page.contains("`\(room)`"), "docs/ARCHITECTURE.md does not name \(room)")
    }
    // One row a layer, `| 2 joints | `Pipeline` … |`, with exactly the rooms of the map.
    for (number, rooms) in HouseMap.layers.enumerated() {
      let row = try #require(page.split(separator: "\n").first { $0.hasPrefix("| \(number) ") }, "layer \(number)")
      let cell = row.split(separator: "|")[0]
      let named = cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map { String($0.element) }
      #expect(named == rooms, "layer \(number)")
    }
  }

  /// A step of the life of one sample names the file it happens in: the file must be there.
  @Test func everyFileTheArchitectureNamesExists() {
    let page = house.text("docs/ARCHITECTURE.md")
    let names = page.split(separator: "`").filter { $0.hasSuffix(".swift") && $0.contains("/") }
    #expect(names.count > 10)
    for name in names {
      #expect(!house.text("Sources/\(name)").isEmpty, "docs/ARCHITECTURE.md names Sources/\(name)")
    }
  }

  @Test func decisionsAreNumberedWithoutGaps() throws {
    let names = house.below("docs/decisions").map { String($0.path.dropFirst("docs/decisions/".count)) }.sorted()
    for (index, name) in names.enumerated() {
      let number = try #require(Int(name.prefix(4)), "\(name)")
      #expect(number == index + 1, "\(name)")
      #expect(name.wholeMatch(of: /[0-9]{4}-[a-z0-9-]+\.md/) != nil, "\(name)")
      let text = house.text("docs/decisions/" + name)
      #expect(text.hasPrefix("# \(number). "), "\(name)")
      for part in ["## Context", "## Decision", "## Alternatives", "## Consequences", "## How we would notice"] {
        #expect(text.contains(part), "\(name) lacks \(part)")
      }
    }
  }

  @Test func theChangelogSpeaksToUsers() {
    let text = house.text("docs/CHANGELOG.md")
    #expect(text.contains("## 0.1.0"))
    for line in text.split(separator: "\n") where line.hasPrefix("- ") {
      let word = line.dropFirst(2).prefix { $0 != ":" }
      #expect(["CHANGE", "FEATURE", "FIX", "SECURITY", "LIMIT"].contains(word), "\(line)")
    }
  }

  // MARK: Texts

  /// Relative targets of Markdown links, without anchors.
  private static func links(in text: String) -> [String] {
    text.components(separatedBy: "](").dropFirst().compactMap { piece in
      let target = piece.prefix { $0 != ")" && $0 != "#" && !$0.isNewline }
      return target.isEmpty || target.contains("://") || target.contains(" ") ? nil : String(target)
    }
  }

  private static func arguments(_ start: String, in text: String) -> [String] {
    text.components(separatedBy: start).dropFirst().map { String($0.prefix { $0 != "\"" }) }
      .filter { $0.allSatisfy { $0.isLetter || $0.isNumber || "-+.".contains($0) } && !$0.isEmpty }
  }
}
