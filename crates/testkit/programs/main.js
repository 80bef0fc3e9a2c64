import { greet, unused } from "./greet.js";

const planets = ["Mercury", "Venus", "Earth", "Mars"];
for (const planet of planets) {
  console.log(greet(planet));
}
