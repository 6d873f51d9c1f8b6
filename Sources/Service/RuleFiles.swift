import Configuration
import Foundation
import RuleLanguage
import VitalModel
import YAMLText

/// A rule directory read from disk, and the plan made of it.
package struct RuleFiles: Sendable {
  package var directory: String
  package var registryText: String
  package var sources: [RuleSource]

  /// Why a rule directory cannot be used: each problem one line.
  package enum Failure: Error, CustomStringConvertible {
    case unreadable(String)
    case wrong(TextProblems)
    package var description: String {
      switch self {
      case .unreadable(let line): line
      case .wrong(let problems): problems.description
      }
    }
  }

  package init(directory: String, registryText: String, sources: [RuleSource]) {
    self.directory = directory
    self.registryText = registryText
    self.sources = sources
  }

  /// Reads every YAML file below a directory, or one rule file with the registry and scores of `defaults` beside it.
  package static func read(_ path: String, defaults: String = "Rules") throws(Failure) -> RuleFiles {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw .unreadable("\(path): no such rule directory or file")
    }
    if isDirectory.boolValue { return try readDirectory(path) }
    var base = try readDirectory(defaults)
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw .unreadable("\(path): cannot be read as UTF-8 text")
    }
    base.sources = base.sources.filter { $0.path.hasPrefix("scores/") }
    // A folder of the file's own says nothing of its role.
    let isInRoleFolder = ["scores/", "sets/", "maps/", "examples/"].contains { path.hasPrefix($0) }
    base.sources.append(RuleSource(path: isInRoleFolder ? "./" + path : path, text: text))
    base.directory = ""
    return base
  }

  private static func readDirectory(_ path: String) throws(Failure) -> RuleFiles {
    let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    guard let names = FileManager.default.enumerator(atPath: resolved) else {
      throw .unreadable("\(path): cannot be listed")
    }
    var sources: [RuleSource] = []
    var registry: String?
    for case let name as String in names where name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
      // Examples run alone.
      if name.hasPrefix("examples/") { continue }
      guard let text = try? String(contentsOfFile: path + "/" + name, encoding: .utf8) else {
        throw .unreadable("\(path)/\(name): cannot be read as UTF-8 text")
      }
      if name == "vitals.yaml" { registry = text } else { sources.append(RuleSource(path: name, text: text)) }
    }
    guard let registry else {
      throw .unreadable("\(path)/vitals.yaml: no such file; a rule directory needs the vitals registry")
    }
    return RuleFiles(
      directory: path, registryText: registry, sources: sources.sorted { $0.path < $1.path })
  }

  package func registry() throws(Failure) -> VitalRegistry {
    do throws(TextProblems) {
      return try VitalRegistryFile.parse(registryText, file: (directory.isEmpty ? "Rules" : directory) + "/vitals.yaml")
    } catch {
      throw .wrong(error)
    }
  }

  /// The plan of one set; nil: every rule of the directory.
  package func plan(set: String?) throws(Failure) -> RulePlan {
    let registry = try registry()
    do throws(TextProblems) {
      return try RuleLibrary.plan(sources: sources, set: set, registry: registry, directory: directory)
    } catch {
      throw .wrong(error)
    }
  }

  /// Every score of the directory, used by a rule or not.
  package func scores(registry: VitalRegistry) throws(Failure) -> [ScoreDefinition] {
    do throws(TextProblems) {
      return try RuleLibrary.scores(sources: sources, registry: registry, directory: directory)
    } catch {
      throw .wrong(error)
    }
  }

  /// The column map of a data set, by its name.
  package func columnMap(named name: String, registry: VitalRegistry) throws(Failure) -> Configuration.ColumnMap? {
    guard let source = sources.first(where: { $0.path == "maps/\(name).yaml" }) else { return nil }
    do throws(TextProblems) {
      return try Configuration.ColumnMap.parse(source.text, file: directory + "/" + source.path, registry: registry)
    } catch {
      throw .wrong(error)
    }
  }

  private struct Texts: Codable {
    var set: String?
    var registry: String
    var sources: [RuleSource]
  }

  /// Deterministic JSON of everything the plan is made of.
  package func canonicalText(set: String?) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let value = Texts(set: set, registry: registryText, sources: sources)
    return (try? encoder.encode(value)).map(Array.init) ?? []
  }
}
