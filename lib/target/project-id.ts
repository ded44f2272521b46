/** Whether a text is the id of a Neon project. It goes into paths of the API (OpenAPI document, "project_id"). */
export function isProjectId(text: string): boolean {
  return /^[a-z0-9-]{1,60}$/.test(text);
}
